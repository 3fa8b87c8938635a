"""A file in a multipart form, stored block by block while it arrives (POST /api/imports/)."""

from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, SkipFile, StopUpload

from products.models import Upload

from . import uploads


class StoredFile(UploadedFile):
    """The form's file: its bytes are in `upload` already."""

    def __init__(self, upload: Upload, content_type: str | None) -> None:
        super().__init__(None, upload.file_name, content_type, upload.size_bytes)
        self.upload = upload

    def close(self) -> None:
        """Nothing is open."""


class BlockUploadHandler(FileUploadHandler):
    """Stores the form field `file` as an upload; a request that is cut leaves nothing.

    The request's length bounds the file's size, which is known only at its end.
    """

    chunk_size = 256 * 1024

    def __init__(self, user: Any, request: Any = None) -> None:
        super().__init__(request)
        self.user = user
        self.upload: Upload | None = None
        self.buffer = bytearray()
        self.turn: uploads.Turn | None = None

    def handle_raw_input(
        self, input_data: Any, META: Any, content_length: int, boundary: Any, encoding: Any = None
    ) -> None:
        self.bound = content_length

    def new_file(self, field_name: str, *args: Any, **kwargs: Any) -> None:
        super().new_file(field_name, *args, **kwargs)
        if field_name != "file" or self.upload is not None:
            raise SkipFile
        try:
            self.upload = uploads.create_upload(self.user, self.file_name, self.bound)
            self.turn = uploads.take_turn(self.upload.pk)
        except uploads.UploadTooLarge:
            raise StopUpload(connection_reset=False) from None

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self.buffer += raw_data
        if len(self.buffer) >= settings.UPLOAD_BLOCK_BYTES:
            self._store()

    def file_complete(self, file_size: int) -> StoredFile | None:
        if self.upload is None:
            return None
        self._store()
        return StoredFile(uploads.close(self.upload.pk), self.content_type)

    def upload_interrupted(self) -> None:
        if self.upload is not None:
            uploads.purge(self.upload.pk)

    def _store(self) -> None:
        assert self.turn is not None
        if self.buffer:
            self.turn = uploads.append(self.turn, bytes(self.buffer))
            self.buffer.clear()
