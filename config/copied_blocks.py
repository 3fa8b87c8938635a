"""Runs of bytes as rows that go in and out by binary COPY.

As parameters and results they would be written in hexadecimal and read back, which takes four
times as long on both sides. Used by products/imports/blocks.py and stocksync/jobs/files.py.
"""

import io
import struct
from collections.abc import Iterator
from uuid import UUID

from django.db import connection

COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # signature, no flags, no extension
COPY_TAIL = b"\xff\xff"


class Blocks:
    """The blocks of one table: those of an owner are gapless from `offset` 0."""

    def __init__(self, table: str, owner: str) -> None:
        """`table` has the columns `owner` (uuid), "offset", size_bytes and data."""
        self._in = f'COPY {table} ({owner}, "offset", size_bytes, data) FROM STDIN (FORMAT binary)'
        self._out = f"""
            COPY (
                SELECT substring(data FROM greatest(0, %(start)s - "offset")::int + 1
                                 FOR (%(end)s - greatest("offset", %(start)s))::int)
                FROM {table}
                WHERE {owner} = %(owner)s AND "offset" < %(end)s
                  AND "offset" + size_bytes > %(start)s
                ORDER BY "offset"
            ) TO STDOUT (FORMAT binary)
        """

    def store(self, owner_id: UUID, offset: int, data: bytes) -> None:
        """Store `data` as the block that begins at byte `offset`."""
        size = len(data)
        # Of each column its length and its value.
        row = struct.pack("!hi16siqiii", 4, 16, owner_id.bytes, 8, offset, 4, size, size)
        copied = io.BytesIO(b"".join((COPY_HEAD, row, data, COPY_TAIL)))
        with connection.cursor() as cursor:
            cursor.copy_expert(self._in, copied, size=1 << 20)

    def read(self, owner_id: UUID, start: int, end: int) -> bytes:
        """Bytes `start` to `end` (exclusive); fewer where they are not all stored."""
        copied = io.BytesIO()
        with connection.cursor() as cursor:
            values = {"owner": str(owner_id), "start": start, "end": end}
            cursor.copy_expert(cursor.mogrify(self._out, values), copied)
        return b"".join(_copied_fields(copied.getbuffer()))


def _copied_fields(copied: memoryview) -> Iterator[memoryview]:
    """The fields of rows of one column in COPY's binary format."""
    position = len(COPY_HEAD)
    while copied[position : position + 2] != COPY_TAIL:
        (length,) = struct.unpack_from("!i", copied, position + 2)
        position += 6 + length
        yield copied[position - length : position]
