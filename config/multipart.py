"""A file in a multipart form, stored piece by piece while it arrives.

Whoever takes one says with a Store where its bytes go: products/imports/multipart.py and
stocksync/jobs/receiving.py.
"""

from typing import Any, Protocol

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler

FIELD = "file"


class Store(Protocol):
    """Where the bytes of one file go."""

    def begin(self, file_name: str, bound: int) -> None:
        """A file comes that has at most `bound` bytes. May raise StopUpload, to take none."""

    def append(self, data: bytes) -> None:
        """Its next bytes."""

    def close(self, content_type: str | None) -> UploadedFile:
        """It is whole: what the form's field holds."""

    def discard(self) -> None:
        """Nobody wants it: delete what came."""


class StoringUploadHandler(FileUploadHandler):
    """Stores the first file of the field `file`; a request that is cut leaves nothing.

    The request's length bounds the file's size, which is known only at its end. Where reading
    the form raises, and where it is whole and refused, the caller calls `upload_interrupted`.
    """

    chunk_size = 256 * 1024

    def __init__(self, store: Store, request: Any = None) -> None:
        super().__init__(request)
        self._store = store
        self._buffer = bytearray()
        self._begun = False
        self._coming = False
        # Names of fields whose files are not kept: all but the first `file`.
        self.left_out: list[str] = []

    def handle_raw_input(
        self, input_data: Any, META: Any, content_length: int, boundary: Any, encoding: Any = None
    ) -> None:
        self._bound = content_length

    def new_file(self, field_name: str, *args: Any, **kwargs: Any) -> None:
        super().new_file(field_name, *args, **kwargs)
        # No SkipFile for others: of a form that ends with one Django thinks that it was cut.
        self._coming = field_name == FIELD and not self._begun
        if self._coming:
            self._store.begin(self.file_name or "", self._bound)
            self._begun = True
        else:
            self.left_out.append(field_name)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        if self._coming:
            self._buffer += raw_data
            if len(self._buffer) >= settings.UPLOAD_BLOCK_BYTES:
                self._flush()

    def file_complete(self, file_size: int) -> UploadedFile | None:
        if not self._coming:
            return None
        self._flush()
        return self._store.close(self.content_type)

    def upload_interrupted(self) -> None:
        if self._begun:
            self._store.discard()

    def _flush(self) -> None:
        if self._buffer:
            self._store.append(bytes(self._buffer))
            self._buffer.clear()
