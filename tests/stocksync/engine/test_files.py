"""Bytes as lines: their ends, the longest one, and pieces that are cut anywhere."""

import json

import pytest

from stocksync.engine.synchronizer import Synchronizer
from tests.stocksync.engine.running import created, ended, sync, updated

BOM = b"\xef\xbb\xbf"
LONGEST = 65_536
FIRST = created(1, 5, 1)


def padded(line: bytes, size: int) -> bytes:
    """The event with a note that makes it so many bytes long."""
    head = line.rstrip()[:-1] + b', "note": "'
    return head + b"x" * (size - len(head) - 2) + b'"}'


def test_an_empty_file_has_no_lines():
    result = sync(b"")
    assert result.written == b'{"type": "StockSummary", "stocks": {}}\n'
    assert (result.counts["lines"], result.rejects, result.decisions) == (0, [], [])


@pytest.mark.parametrize(
    ("data", "lines", "blank"),
    [(BOM, 0, 0), (b"\n", 1, 1), (b"\r\n\r\n", 2, 2), (BOM + b"\n", 1, 1), (b" ", 1, 1)],
    ids=repr,
)
def test_files_of_nothing(data, lines, blank):
    counts = sync(data).counts
    assert (counts["lines"], counts["blank"], counts["events"]) == (lines, blank, 0)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"], ids=repr)
def test_the_last_line_needs_no_end(end):
    result = sync(FIRST + updated(1, 4, 2).rstrip() + end)
    assert (result.counts["lines"], result.counts["applied"]) == (2, 2)


def test_a_refused_line_keeps_no_end_in_its_raw_text():
    result = sync(b"one\r\ntwo\nthree")
    assert [reject["raw"] for reject in result.rejects] == ["one", "two", "three"]
    assert [reject["line"] for reject in result.rejects] == [1, 2, 3]


def test_a_lone_carriage_return_ends_no_line():
    result = sync(FIRST.replace(b"\n", b"\r") + updated(1, 4, 2))
    assert [reject["code"] for reject in result.rejects] == ["malformed"]
    assert result.counts["lines"] == 1


def test_a_byte_order_mark_is_dropped_at_the_start_only():
    assert sync(BOM + FIRST).rejects == []
    [reject] = sync(BOM + BOM + FIRST).rejects
    assert (reject["code"], reject["raw"][0]) == ("malformed", "\ufeff")
    [reject] = sync(FIRST + BOM + updated(1, 1, 2)).rejects
    assert (reject["line"], reject["code"]) == (2, "malformed")


def test_a_restart_is_no_start_of_a_file():
    [reject] = sync([FIRST, BOM + updated(1, 1, 2)], restarts=[1]).rejects
    assert (reject["line"], reject["code"]) == (2, "malformed")
    assert sync([b"", BOM + FIRST], restarts=[1]).rejects == []


@pytest.mark.parametrize("mark", [b"", BOM], ids=["", "BOM"])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"], ids=repr)
@pytest.mark.parametrize("size", [65_535, 65_536])
def test_a_line_may_have_65536_bytes_without_its_end(size, end, mark):
    line = padded(FIRST, size)
    assert len(line) == size
    assert sync(mark + line + end).counts["applied"] == 1


@pytest.mark.parametrize("mark", [b"", BOM], ids=["", "BOM"])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"], ids=repr)
@pytest.mark.parametrize("size", [65_537, 65_538, 65_539, 65_540, 100_000])
def test_a_longer_line_is_refused_with_its_first_65536_bytes(size, end, mark):
    line = padded(FIRST, size)
    [reject] = sync(mark + line + end).rejects
    assert (reject["line"], reject["code"]) == (1, "too_long")
    assert reject["raw"] == line[:LONGEST].decode()


def test_bytes_count_and_not_characters():
    line = json.dumps({"x": "é" * 32_765}, ensure_ascii=False).encode()
    assert len(line) == 65_539
    [reject] = sync(line + b"\n").rejects
    assert reject["code"] == "too_long"
    # The cut went through a character.
    assert reject["raw"] == line[:LONGEST].decode("utf-8", "backslashreplace")


@pytest.mark.parametrize("byte", [b"x", b"[", b"9", b" ", b'"', b"\\", b"'", b"\xff", b"\t", b"{"])
def test_a_line_of_10_megabytes_is_refused_and_the_next_one_counts(byte):
    data = byte * 10_000_000 + b"\n" + FIRST
    result = sync(data)
    [reject] = result.rejects
    assert (reject["line"], reject["code"]) == (1, "too_long")
    assert reject["raw"] == (byte * LONGEST).decode("utf-8", "backslashreplace")
    assert result.counts["applied"] == 1
    pieces = [data[start : start + 300_000] for start in range(0, len(data), 300_000)]
    assert sync(pieces) == result


def test_a_line_of_any_length_is_not_kept():
    engine = Synchronizer()
    for _ in range(100):
        engine.feed(b"x" * 100_000)
        assert len(json.dumps(engine.state())) < 2 * LONGEST
    engine.feed(b"\n" + FIRST)
    assert engine.position == 10_000_000 + 1 + len(FIRST)
    assert engine.counts.as_dict()["applied"] == 1


def test_a_comment_may_be_longer():
    comment = b"// " + b"x" * 100_000
    whole = sync(FIRST + comment + b"\n" + updated(1, 4, 2))
    assert (whole.counts["comments"], whole.counts["applied"]) == (1, 2)
    assert sync([FIRST + comment[:2], comment[2:70_000], comment[70_000:] + b"\n"]).rejects == []


SHORT = b"\r\n".join(
    [
        BOM + created(2, 5, 3, parent=1).rstrip(),
        "{'type': 'ProductCreated', 'id': 1, 'stock': 7, 'timestamp': 9, 'ü': '☃', ".encode()
        + b"'parent_id': None} // it's a parent",
        b"",
        b"\t// comment",
        b"\xff\xfe",
        updated(1, 0, 10).rstrip() + b"\r",
        b"nonsense\n" + updated(3, 1, 2).rstrip(),
        ended(1, 11).rstrip(),
    ]
)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"], ids=repr)
def test_pieces_cut_at_every_byte_give_the_same(end):
    data = SHORT + end
    whole = sync(data)
    assert [reject["code"] for reject in whole.rejects] == [
        "not_utf8",
        "malformed",
        "never_created",
    ]
    for cut in range(len(data) + 1):
        assert sync([data[:cut], data[cut:]]) == whole, cut
        assert sync([data[:cut], b"", data[cut:]], restarts=[1]) == whole, cut
    assert sync([data[place : place + 1] for place in range(len(data))]) == whole


# Around the length from which the rest of a line is not kept any more.
LONG = {
    "an event": padded(FIRST, LONGEST),
    "an event behind a byte order mark": BOM + padded(FIRST, LONGEST),
    "an event and a carriage return": padded(FIRST, LONGEST) + b"\r",
    "an event behind a mark, and a carriage return": BOM + padded(FIRST, LONGEST) + b"\r",
    "an event of a byte too many": padded(FIRST, LONGEST + 1),
    "an event of a byte too many behind a mark": BOM + padded(FIRST, LONGEST + 1) + b"\r",
    "two carriage returns": padded(FIRST, LONGEST) + b"\r\r",
    "characters of many bytes": ("é" * 40_000).encode(),
    "bytes that are no text": b"\xff" * 70_000,
    "spaces and a comment": b" " * (LONGEST - 1) + b"// x",
    "more spaces and a comment": b" " * LONGEST + b"// x",
    "most spaces and a comment": b" " * (LONGEST + 2) + b"// x",
    "spaces": b" " * (LONGEST + 4),
    "a long comment": b"//" + b" " * LONGEST,
}


@pytest.mark.parametrize("line", LONG.values(), ids=LONG.keys())
@pytest.mark.parametrize("end", [b"", b"\r\n"], ids=repr)
def test_long_lines_are_the_same_wherever_they_are_cut(line, end):
    data = line + end
    whole = sync(data)
    for cut in [2, 100, *range(LONGEST - 1, min(LONGEST + 8, len(data)))]:
        assert sync([data[:cut], data[cut:]]) == whole, cut
