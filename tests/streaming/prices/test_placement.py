"""Where a partition is read from, and what its records are: pure, by tables."""

from typing import Any, NamedTuple

import pytest

from streaming.prices.messages import sort
from streaming.prices.placement import ADVICE, Position, Start, parse, place, start

ID, OLD = "0a636b46-6d8d-424b-a62b-5e1040150087", "f78f7429-3afa-42a2-a5c0-3ffb6fcd9ae8"


@pytest.mark.parametrize(
    ("text", "bounds", "others", "offset", "reason", "deleted"),
    [
        (None, (0, 50), set(), 0, "", None),
        (None, (20, 50), {ID}, 20, "", None),
        (None, (0, 50), {ID, OLD}, 0, "topic_recreated", None),
        (f"30 {ID}", (0, 50), {ID}, 30, "", None),
        (f"30 {ID}", (30, 30), {ID}, 30, "", None),
        (f"30 {ID}", (0, 50), {ID, OLD}, 30, "", None),  # the others are halted, not this one
        (f"30 {OLD}", (0, 50), {OLD}, 30, "topic_recreated", None),
        (f"30 {OLD}", (0, 20), {OLD}, 30, "topic_recreated", None),
        (f"51 {ID}", (0, 50), {ID}, 51, "offset_past_end", None),
        (f"30 {ID}", (31, 50), {ID}, 31, "", range(30, 31)),
        (f"30 {ID}", (50, 50), {ID}, 50, "", range(30, 50)),
        ("nonsense", (5, 50), set(), 5, "bad_position", None),
        ("", (5, 50), set(), 5, "bad_position", None),
        (f"-1 {ID}", (5, 50), set(), 5, "bad_position", None),
        (f"٣ {ID}", (5, 50), set(), 5, "bad_position", None),
    ],
)
def test_where_a_partition_begins(
    text: str | None,
    bounds: tuple[int, int],
    others: set[str],
    offset: int,
    reason: str,
    deleted: range | None,
) -> None:
    found = start(text, ID, *bounds, others)
    assert (found.offset, found.deleted) == (offset, deleted)
    assert (found.halted.reason if found.halted else "") == reason
    assert not reason or "seek_prices" in ADVICE[reason]


def test_a_position_is_read_as_it_is_written() -> None:
    assert parse(str(Position(7, ID))) == (7, ID)
    assert place("main_topic", 3) == "kafka:main_topic:3"
    assert start(str(Position(7, ID)), ID, 0, 7, {ID}) == Start(7)


class Record(NamedTuple):
    offset: int
    value: bytes | None
    headers: list[tuple[str, Any]]


def test_rows_and_what_is_none() -> None:
    row = b'{"time": "090006", "stock": "stock1", "price": 7}'
    source = b"a" * 64
    rows, refused = sort(
        [
            Record(3, row, []),
            Record(4, None, []),
            Record(6, row, [("source", source), ("row", b"12"), ("x", None)]),
            Record(7, row, [("source", source)]),
            Record(8, row, [("source", None), ("row", b"12")]),
            Record(9, b"no row", [("source", source), ("row", b"13")]),
        ]
    )
    assert [(at, each.source, each.number, raw) for at, each, raw in rows] == [
        (3, "", 0, row),
        (6, "a" * 64, 12, row),
        (7, "", 0, row),
        (8, "", 0, row),
    ]
    assert [each[:2] + each[3:] for each in refused] == [
        (4, "empty", b""),
        (9, "not_json", b"no row"),
    ]
