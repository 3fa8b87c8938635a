"""The bytes of uploads, as rows. Used by uploads.py (in) and staging.py (out)."""

from uuid import UUID

from config.copied_blocks import Blocks

BLOCKS = Blocks("products_uploadblock", "upload_id")

store = BLOCKS.store


class BlocksGone(Exception):
    """These bytes are not stored any more; `str()` is for the user."""


def read(upload_id: UUID, start: int, end: int) -> bytes:
    """Bytes `start` to `end` (exclusive) of an upload; BlocksGone when they are not stored."""
    data = BLOCKS.read(upload_id, start, end)
    if len(data) < end - start:
        raise BlocksGone(f"Bytes {start:,} to {end:,} of the upload are not stored any more.")
    return data
