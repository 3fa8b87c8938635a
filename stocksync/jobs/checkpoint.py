"""An engine's state as a file, for the worker that goes on: written and read in pieces.

Each line of the file is JSON: a name of the state and its value, of long lists a part.
"""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from config.jobs import frozen

from . import files

AT_ONCE = 10_000  # values of a list in one line


def allow_a_pause() -> None:
    """In this transaction we may think for long between two statements: of many products.

    claims.hold allows IMPORT_STALE_SECONDS, which six million products take. The sweep ends a
    frozen holder after this time all the same.
    """
    seconds = settings.IMPORT_STALE_SECONDS * frozen.SILENT_TIMES
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('idle_in_transaction_session_timeout', %s, true)",
            [f"{int(seconds * 1000)}ms"],
        )


def save(file_id: UUID, state: dict[str, Any]) -> None:
    """Replace the file's content by `state`, in the current transaction (see `allow_a_pause`)."""
    files.truncate(file_id, 0)
    buffer = bytearray()
    for line in _lines(state):
        buffer += line
        if len(buffer) >= files.BLOCK_BYTES:
            files.append(file_id, bytes(buffer))
            buffer.clear()
    files.append(file_id, bytes(buffer))


def load(file_id: UUID) -> dict[str, Any]:
    """The state that was saved. files.FileGone: there is none."""
    state: dict[str, Any] = {}
    for line in _lines_of(files.pieces(file_id)):
        name, value = json.loads(line)
        if isinstance(value, list):
            state.setdefault(name, []).extend(value)
        else:
            state[name] = value
    return state


def _lines(state: dict[str, Any]) -> Iterator[bytes]:
    for name, value in state.items():
        if isinstance(value, list):
            for start in range(0, max(1, len(value)), AT_ONCE):
                yield json.dumps([name, value[start : start + AT_ONCE]]).encode() + b"\n"
        else:
            yield json.dumps([name, value]).encode() + b"\n"


def _lines_of(pieces: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
