"""The file of POST /api/imports/, stored as an upload while it arrives."""

from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import StopUpload

from config.multipart import StoringUploadHandler
from products.models import Upload

from . import uploads


class StoredFile(UploadedFile):
    """The form's file: its bytes are in `upload` already."""

    def __init__(self, upload: Upload, content_type: str | None) -> None:
        super().__init__(None, upload.file_name, content_type, upload.size_bytes)
        self.upload = upload

    def close(self) -> None:
        """Nothing is open."""


class BlockUploadHandler(StoringUploadHandler):
    """Stores the form field `file` as an upload of `user`."""

    def __init__(self, user: Any, request: Any = None) -> None:
        super().__init__(_Upload(user), request)


class _Upload:
    """A Store that is an upload."""

    def __init__(self, user: Any) -> None:
        self._user = user
        self._turn: uploads.Turn

    def begin(self, file_name: str, bound: int) -> None:
        try:
            upload = uploads.create_upload(self._user, file_name, bound)
        except uploads.UploadTooLarge:
            raise StopUpload(connection_reset=False) from None
        self._turn = uploads.take_turn(upload.pk)

    def append(self, data: bytes) -> None:
        self._turn = uploads.append(self._turn, data)

    def close(self, content_type: str | None) -> StoredFile:
        return StoredFile(uploads.close(self._turn.upload_id), content_type)

    def discard(self) -> None:
        uploads.purge(self._turn.upload_id)
