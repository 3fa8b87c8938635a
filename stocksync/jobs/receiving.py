"""Takes a file of events from a multipart form while it arrives: POSTs of the page and the API."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from config.multipart import StoringUploadHandler
from stocksync.models import StoredFile, SyncJob

from . import files


class TooLarge(Exception):
    """The file has more than STOCKSYNC_MAX_BYTES; `str()` is for its sender."""

    def __init__(self) -> None:
        super().__init__(f"The file may have at most {settings.STOCKSYNC_MAX_BYTES:,} bytes.")


class EventsFile(UploadedFile):
    """The form's file: its bytes are in `stored` already."""

    def __init__(self, stored: StoredFile, content_type: str | None) -> None:
        super().__init__(None, stored.name, content_type, stored.size_bytes)
        self.stored = stored

    def close(self) -> None:
        """Nothing is open."""


class EventsUploadHandler(StoringUploadHandler):
    """Stores the form field `file`; `stored` is what came, None where nothing whole did.

    Reading the form raises TooLarge above STOCKSYNC_MAX_BYTES. Use it within `taking`.
    """

    def __init__(self, user: Any = None, request: Any = None) -> None:
        self._events = _Events()
        super().__init__(self._events, request)
        self.user = user
        self.too_large = False

    @property
    def stored(self) -> StoredFile | None:
        return self._events.stored


class _Events:
    """A Store that is a file of events."""

    def __init__(self) -> None:
        self.stored: StoredFile | None = None
        self._coming: StoredFile | None = None
        self._size = 0

    def begin(self, file_name: str, bound: int) -> None:
        self._coming = files.create(file_name)

    def append(self, data: bytes) -> None:
        assert self._coming is not None
        self._size += len(data)
        if self._size > settings.STOCKSYNC_MAX_BYTES:
            raise TooLarge
        files.append(self._coming.pk, data)

    def close(self, content_type: str | None) -> EventsFile:
        assert self._coming is not None
        self._coming.refresh_from_db()
        self.stored = self._coming
        return EventsFile(self.stored, content_type)

    def discard(self) -> None:
        if self._coming is not None:
            files.remove(self._coming.pk)
        self.stored = self._coming = None


@contextmanager
def taking(request: HttpRequest, user: Any = None) -> Iterator[EventsUploadHandler]:
    """Within the block the request's form is read so that its file is stored.

    What came and is not the events of a job at the end of the block is deleted.
    """
    handler = EventsUploadHandler(user or request.user)
    request.upload_handlers = [handler]
    try:
        yield handler
    finally:
        if not _is_used(handler.stored):
            handler.upload_interrupted()


def _is_used(stored: StoredFile | None) -> bool:
    return stored is not None and SyncJob.objects.filter(events=stored).exists()


def takes_events(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Decorator of a page that takes the form: `request.events` is its EventsUploadHandler.

    Put `requires` outside of it. The CSRF check reads the form, so it comes once the handler is
    set; of a form that fails it nothing stays. Of one with too large a file nothing at all is
    read: the view gets an empty form and `request.events.too_large`, and may only say so.
    """

    @csrf_exempt
    @wraps(view)
    def taken(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        with taking(request) as handler:
            request.events = handler  # type: ignore[attr-defined]
            try:
                return csrf_protect(view)(request, *args, **kwargs)
            except TooLarge:
                handler.too_large = True
                handler.upload_interrupted()
                request._mark_post_parse_error()
                return view(request, *args, **kwargs)

    return taken
