"""The bytes of uploads, as rows. Used by uploads.py (in) and staging.py (out).

Blocks go in and out by binary COPY: as parameters and results they would be written in
hexadecimal and read back, which takes four times as long on both sides.
"""

import io
import struct
from collections.abc import Iterator
from uuid import UUID

from django.db import connection

COPY_IN = (
    'COPY products_uploadblock (upload_id, "offset", size_bytes, data) FROM STDIN (FORMAT binary)'
)
COPY_OUT = """
COPY (
    SELECT substring(data FROM greatest(0, %(start)s - "offset")::int + 1
                     FOR (%(end)s - greatest("offset", %(start)s))::int)
    FROM products_uploadblock
    WHERE upload_id = %(upload)s AND "offset" < %(end)s AND "offset" + size_bytes > %(start)s
    ORDER BY "offset"
) TO STDOUT (FORMAT binary)
"""
COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # signature, no flags, no extension
COPY_TAIL = b"\xff\xff"


class BlocksGone(Exception):
    """These bytes are not stored any more; `str()` is for the user."""


def store(upload_id: UUID, offset: int, data: bytes) -> None:
    """Store `data` as the block that begins at byte `offset`."""
    size = len(data)
    # Of each column its length and its value.
    row = struct.pack("!hi16siqiii", 4, 16, upload_id.bytes, 8, offset, 4, size, size)
    with connection.cursor() as cursor:
        cursor.copy_expert(COPY_IN, io.BytesIO(COPY_HEAD + row + data + COPY_TAIL), size=1 << 20)


def read(upload_id: UUID, start: int, end: int) -> bytes:
    """Bytes `start` to `end` (exclusive) of an upload; BlocksGone when they are not stored."""
    copied = io.BytesIO()
    with connection.cursor() as cursor:
        values = {"upload": str(upload_id), "start": start, "end": end}
        cursor.copy_expert(cursor.mogrify(COPY_OUT, values), copied)
    data = b"".join(_copied_fields(copied.getbuffer()))
    if len(data) < end - start:
        raise BlocksGone(f"Bytes {start:,} to {end:,} of the upload are not stored any more.")
    return data


def _copied_fields(copied: memoryview) -> Iterator[memoryview]:
    """The fields of rows of one column in COPY's binary format."""
    position = len(COPY_HEAD)
    while copied[position : position + 2] != COPY_TAIL:
        (length,) = struct.unpack_from("!i", copied, position + 2)
        position += 6 + length
        yield copied[position - length : position]
