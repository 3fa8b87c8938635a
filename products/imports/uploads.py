"""Receiving a file in pieces: every entry (tus, multipart, command) stores through here.

Bytes become rows of at most UPLOAD_BLOCK_BYTES, so that web and worker need no
common disk and a cut request keeps what came. The upload's `offset` moves in the
transaction of its block, by conditional UPDATE: of two writers at one offset
one is told (OffsetConflict), and no byte is stored twice.
"""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from products.models import Import, ImportState, Upload, UploadBlock

from . import blocks, wakeups

logger = logging.getLogger(__name__)

SETTLE_SECONDS = 2.0  # how long the bytes of a cut request may still be on their way to the rows
SETTLE_POLL_SECONDS = 0.05
GONE = "This upload is not here any more; start a new one."
ENCODINGS = {"utf-8": "UTF-8", "cp1252": "Windows-1252"}


class UploadError(Exception):
    """The upload can't take these bytes; `str()` is the message for its sender."""


class UploadTooLarge(UploadError):
    """More bytes than announced or allowed."""


class UploadGone(UploadError):
    """The upload was finished with, abandoned or deleted: its bytes are not here any more."""


class OffsetConflict(UploadError):
    """The bytes begin elsewhere than at the end of what is stored."""

    def __init__(self, expected: int, given: int) -> None:
        super().__init__(f"The upload is at byte {expected}, these bytes begin at {given}.")
        self.expected = expected


@dataclass(frozen=True)
class ImportOptions:
    """What the user chooses for an import."""

    encoding: str = "utf-8"
    new_products_active: bool = True
    check_first: bool = False

    def __post_init__(self) -> None:
        if self.encoding not in ENCODINGS:
            raise UploadError(f"encoding must be one of {', '.join(ENCODINGS)}.")


def create(
    user: Any,
    file_name: str,
    size_bytes: int,
    options: ImportOptions,
    *,
    fingerprint: str = "",
    metadata: dict[str, str] | None = None,
) -> Import:
    """A new upload of `size_bytes` bytes and the import that reads it while it comes.

    Raises UploadTooLarge above UPLOAD_MAX_BYTES.
    """
    with transaction.atomic():
        upload = create_upload(
            user, file_name, size_bytes, fingerprint=fingerprint, metadata=metadata
        )
        job = start_import(upload, options)
        if size_bytes == 0:
            _complete(upload.id)
    return job


def create_upload(
    user: Any,
    file_name: str,
    size_bytes: int,
    *,
    fingerprint: str = "",
    metadata: dict[str, str] | None = None,
) -> Upload:
    """A new upload of at most `size_bytes` bytes without an import so far."""
    if size_bytes > settings.UPLOAD_MAX_BYTES:
        raise UploadTooLarge(
            f"The file has {size_bytes:,} bytes; at most {settings.UPLOAD_MAX_BYTES:,} are allowed."
        )
    return Upload.objects.create(
        created_by=user,
        file_name=(file_name or "products.csv").replace("\0", "")[-255:],
        size_bytes=size_bytes,
        fingerprint=fingerprint.replace("\0", "")[:255],
        metadata=metadata or {},
        expires_at=_expiry(),
    )


def start_import(upload: Upload, options: ImportOptions) -> Import:
    """The import that will read `upload`, which may still be coming."""
    job = Import.objects.create(
        upload=upload,
        created_by=upload.created_by,
        encoding=options.encoding,
        new_products_active=options.new_products_active,
        check_first=options.check_first,
        received_at=upload.completed_at,
    )
    logger.info("import %s: upload %s of %s bytes", job.pk, upload.pk, upload.size_bytes)
    wakeups.advance(job.pk)
    return job


def close(upload_id: UUID) -> Upload:
    """End an upload whose size was only bounded: the file has the bytes stored so far."""
    with transaction.atomic():
        Upload.objects.filter(pk=upload_id).update(
            size_bytes=F("offset"), completed_at=timezone.now()
        )
        return Upload.objects.get(pk=upload_id)


@dataclass(frozen=True)
class Turn:
    """The right to write to an upload, until somebody else takes it: `offset` is where it is."""

    upload_id: UUID
    offset: int
    writer: int


def take_turn(upload_id: UUID, offset: int | None = None, *, writing: bool = True) -> Turn:
    """Become the upload's only writer; an older request's next block is refused.

    A connection that breaks is noticed by its client at once, by us only when its bytes
    are used up. Without this the client would ask for the offset, and find another.
    With `offset`, raises OffsetConflict where the upload is elsewhere.
    """
    found = Upload.objects.filter(pk=upload_id, purged_at=None)
    if offset is not None:
        found = found.filter(offset=offset)
    with transaction.atomic():
        if not found.update(writer=F("writer") + 1, writing=writing):
            raise _refusal(upload_id, offset or 0, 0)
        upload = Upload.objects.only("offset", "writer").get(pk=upload_id)
        return Turn(upload.pk, upload.offset, upload.writer)


def end_turn(turn: Turn) -> None:
    """Say that this writer is done, so that nobody waits for it."""
    Upload.objects.filter(pk=turn.upload_id, writer=turn.writer).update(writing=False)


def settle(upload_id: UUID) -> int:
    """The offset, which no older request will move any more.

    One that was cut has SETTLE_SECONDS to store what came; one that was killed with its
    process, or still goes on, loses its turn then.
    """
    idle = Upload.objects.filter(pk=upload_id, writing=False)
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        with transaction.atomic():
            if idle.update(writer=F("writer") + 1):
                return Upload.objects.values_list("offset", flat=True).get(pk=upload_id)
        time.sleep(SETTLE_POLL_SECONDS)
    return take_turn(upload_id, writing=False).offset


def append(turn: Turn, data: bytes) -> Turn:
    """Store `data` at the turn's offset; returns the turn with the new offset.

    Raises OffsetConflict, UploadTooLarge or UploadGone; then nothing is stored.
    """
    return append_blocks(turn, [data])


def append_blocks(turn: Turn, pieces: Iterable[bytes]) -> Turn:
    """As `append`, for several blocks in one transaction: all of them or none."""
    with transaction.atomic():
        for data in pieces:
            if data:
                turn = _append(turn, bytes(data))
    return turn


def _append(turn: Turn, data: bytes) -> Turn:
    offset, end = turn.offset, turn.offset + len(data)
    upload_id = turn.upload_id
    # The commit of the last block is the one that must reach the disk: it takes all
    # earlier ones with it. Before that a crash only sets the upload's offset back.
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")
    moved = Upload.objects.filter(
        pk=upload_id,
        offset=offset,
        writer=turn.writer,
        size_bytes__gte=end,
        purged_at__isnull=True,
    ).update(offset=end, expires_at=_expiry())
    if moved != 1:
        raise _refusal(upload_id, offset, end)
    blocks.store(upload_id, offset, data)
    if Upload.objects.filter(pk=upload_id, offset=F("size_bytes")).exists():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = on")
        _complete(upload_id)
    elif offset // settings.IMPORT_PART_BYTES != end // settings.IMPORT_PART_BYTES:
        _kick(upload_id)
    return replace(turn, offset=end)


def _refusal(upload_id: UUID, offset: int, end: int) -> UploadError:
    upload = Upload.objects.filter(pk=upload_id).first()
    if upload is None or upload.purged_at is not None:
        return UploadGone(GONE)
    if end > upload.size_bytes:
        return UploadTooLarge(f"Byte {end:,} is past the announced end at {upload.size_bytes:,}.")
    return OffsetConflict(upload.offset, offset)  # also where another request has its turn now


def _complete(upload_id: UUID) -> None:
    # The import's row is the worker's: it may be locked for as long as a step takes, or
    # a frozen worker is not noticed, and the request would wait.
    Upload.objects.filter(pk=upload_id).update(completed_at=timezone.now())
    _kick(upload_id)


def _kick(upload_id: UUID) -> None:
    for job_id in Import.objects.filter(
        upload_id=upload_id, state=ImportState.RECEIVING
    ).values_list("pk", flat=True):
        wakeups.advance(job_id)


def _expiry() -> Any:
    return timezone.now() + timedelta(hours=settings.UPLOAD_KEEP_HOURS)


def keep_on(upload_id: UUID) -> None:
    """Have its bytes kept for UPLOAD_KEEP_HOURS from now: somebody is asked about them."""
    Upload.objects.filter(pk=upload_id).update(expires_at=_expiry())


def purge(upload_id: UUID) -> None:
    """Delete an upload's bytes; its row stays, as part of the import's record."""
    with transaction.atomic():
        Upload.objects.filter(pk=upload_id).update(purged_at=timezone.now())
        UploadBlock.objects.filter(upload_id=upload_id).delete()
