"""Where a page of a sorted list begins, as text for addresses. Pure."""

import base64
import json
from dataclasses import dataclass


class BadCursor(Exception):
    """A cursor that was not made here, or for another order."""


@dataclass(frozen=True)
class Cursor:
    """A page begins beyond the product with this key (None: the order is by id) and id."""

    backwards: bool
    key: str | None
    pk: int


def write(cursor: Cursor, sort: str) -> str:
    """For the order `sort`; safe in URLs."""
    direction = "previous" if cursor.backwards else "next"
    text = json.dumps([direction, sort, cursor.key, cursor.pk], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read(text: str, sort: str, *, keyed: bool) -> Cursor | None:
    """None for the first page (""). Raises BadCursor.

    `keyed`: the order has a key besides the id.
    """
    if not text:
        return None
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        decoded = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
        direction, made_for, key, pk = json.loads(decoded)
        if keyed:
            key.encode()
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise BadCursor("This cursor was not made here.") from error
    if made_for != sort or direction not in ("previous", "next"):
        raise BadCursor("This cursor was made for another order.")
    if (not keyed and key is not None) or (key and "\0" in key):
        raise BadCursor("This cursor was not made here.")
    if type(pk) is not int or not 0 <= pk < 2**63:
        raise BadCursor("This cursor was not made here.")
    return Cursor(direction == "previous", key, pk)
