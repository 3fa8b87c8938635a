"""Files of jobs as rows: they grow at their end, and are read while they do.

Every call is bounded by the bytes it is given or asked for; nothing stays open in between.
"""

from collections.abc import Iterator
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from config.copied_blocks import Blocks
from config.purging import delete_bit_by_bit
from stocksync.models import FileBlock, StoredFile

BLOCK_BYTES = 1024**2
BLOCKS_AT_ONCE = 100  # of one DELETE: a block is many rows of the table that holds its bytes

_BLOCKS = Blocks(FileBlock._meta.db_table, "file_id")


class FileGone(Exception):
    """These bytes are not stored any more; `str()` is for the user."""


def create(name: str) -> StoredFile:
    """A new empty file."""
    return StoredFile.objects.create(name=(name or "events.txt").replace("\0", "")[-255:])


def append(file_id: UUID, data: bytes) -> None:
    """Add `data` at the file's end. Of two at a time the second waits for the first's commit.

    FileGone: it is purged.
    """
    if not data:
        return
    with transaction.atomic():
        offset = _grow(file_id, len(data))
        for start in range(0, len(data), BLOCK_BYTES):
            _BLOCKS.store(file_id, offset + start, data[start : start + BLOCK_BYTES])


def _grow(file_id: UUID, size: int) -> int:
    """Where the next `size` bytes begin."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE stocksync_storedfile SET size_bytes = size_bytes + %s"
            " WHERE id = %s AND purged_at IS NULL RETURNING size_bytes",
            [size, file_id],
        )
        row = cursor.fetchone()
    if row is None:
        raise FileGone("This file is not stored any more.")
    return int(row[0]) - size


def read(file_id: UUID, start: int, end: int) -> bytes:
    """Bytes `start` to `end` (exclusive); FileGone when they are not stored."""
    data = _BLOCKS.read(file_id, start, end) if end > start else b""
    if len(data) < end - start:
        raise FileGone(f"Bytes {start:,} to {end:,} of this file are not stored any more.")
    return data


def pieces(file_id: UUID, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """Bytes `start` to `end` (default: the size it has now), each piece by a short query.

    FileGone when they are not stored, also in the middle.
    """
    if end is None:
        end = size(file_id)
    for position in range(start, end, BLOCK_BYTES):
        yield read(file_id, position, min(end, position + BLOCK_BYTES))


def size(file_id: UUID) -> int:
    """How many bytes are stored; FileGone when it is purged."""
    found = StoredFile.objects.filter(pk=file_id, purged_at=None)
    stored: int | None = found.values_list("size_bytes", flat=True).first()
    if stored is None:
        raise FileGone("This file is not stored any more.")
    return stored


def truncate(file_id: UUID, size: int) -> None:
    """Drop what is behind byte `size`."""
    with transaction.atomic():
        stored = StoredFile.objects.select_for_update().get(pk=file_id)
        if stored.size_bytes <= size:
            return
        blocks = FileBlock.objects.filter(file_id=file_id)
        blocks.filter(offset__gte=size).delete()
        last = blocks.filter(offset__lt=size, offset__gt=size - F("size_bytes")).values_list(
            "offset"
        )
        for (offset,) in last:
            kept = read(file_id, offset, size)
            blocks.filter(offset=offset).delete()
            _BLOCKS.store(file_id, offset, kept)
        StoredFile.objects.filter(pk=file_id).update(size_bytes=size)


def forget(*file_ids: UUID | None) -> None:
    """Nothing can be read from these files any more; `purge` deletes their bytes later."""
    StoredFile.objects.filter(pk__in=file_ids, purged_at=None).update(purged_at=Now())


def purge(file_id: UUID) -> None:
    """Delete a file's bytes; its row stays, as part of the record."""
    forget(file_id)
    delete_blocks(file_id)


def delete_blocks(file_id: UUID) -> None:
    """Delete all bytes of a file that nobody may read any more."""
    blocks = FileBlock.objects.filter(file_id=file_id)
    delete_bit_by_bit(blocks, oldest_first="offset", rows_at_once=BLOCKS_AT_ONCE)


def remove(file_id: UUID) -> None:
    """Delete a file that belongs to nothing, row and all."""
    purge(file_id)
    StoredFile.objects.filter(pk=file_id).delete()
