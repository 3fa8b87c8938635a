"""A file of prices: lines with their places, and what it begins with."""

import hashlib
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.prices.price_file import Cells, FileError, Line, Position, opened
from streaming.prices.rows import MAX_BYTES, Refusal
from tests.streaming.prices.price_files import HEADING, lines, shared, written


def read(path: Path) -> list[Line]:
    with opened(path) as file:
        return list(file.reading(file.beginning()))


def file_of(folder: Path, content: bytes) -> Path:
    path = folder / "prices.csv"
    path.write_bytes(content)
    return path


def test_the_specifications_file() -> None:
    found = read(shared("price_data.csv"))
    assert len(found) == 510
    assert found[0] == Line(1, 2, 17, b"090006,stock3,1734", Cells("090006", "stock3", "1734"))
    assert found[-1].cells == Cells("095947", "stock1", "786")
    assert all(isinstance(each.cells, Cells) for each in found)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize(
    ("heading", "row"),
    [
        ("Time,Stock,Price", "090006,stock1,12"),
        (" price , TIME,stock", "12,090006,stock1"),
        ('"Stock","Price","Time"', '"stock1","12","090006"'),
    ],
)
def test_all_forms_of_a_file(
    tmp_path: Path, end: str, mark: bytes, last: bool, heading: str, row: str
) -> None:
    text = f"{heading}{end}{row}{end}{end}{row}{end if last else ''}"
    path = file_of(tmp_path, mark + text.encode())
    found = read(path)
    assert [each.cells for each in found] == [Cells("090006", "stock1", "12")] * 2
    assert [(each.row, each.number) for each in found] == [(1, 2), (2, 4)]  # the blank line is none
    assert [each.raw for each in found] == [row.encode()] * 2
    for each in found:
        assert path.read_bytes()[each.start :].startswith(each.raw)


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        (b"090006,stock1,", Cells("090006", "stock1", "")),
        (b",,", Cells("", "", "")),
        (b'090006, "stock1","1""2"', Cells("090006", "stock1", '1"2')),
        (b'090006,"a,b",1', Cells("090006", "a,b", "1")),
        (b"090006,stock1", "bad_line"),
        (b"090006,stock1,1,2", "bad_line"),
        (b"090006", "bad_line"),
        (b'090006,"stock1,1', "bad_line"),
        (b'090006,"stock1"x,1', "bad_line"),
        (b"0900\xff06,stock1,1", "not_utf8"),
        (b"090006,stock1," + b"9" * MAX_BYTES, "too_large"),
        (b"9" * (MAX_BYTES * 3 + 7), "too_large"),
    ],
)
def test_a_line_costs_no_other(tmp_path: Path, line: bytes, cells: Cells | str) -> None:
    good = b"090006,stock1,1"
    path = file_of(tmp_path, b"\n".join([HEADING.encode(), good, line, good, b""]))
    before, found, after = read(path)
    assert found.cells == cells if isinstance(cells, Cells) else found.cells.reason == cells
    assert line.startswith(found.raw[:100]) and len(found.raw) <= 2 * MAX_BYTES
    assert before.cells == after.cells == Cells("090006", "stock1", "1")
    assert (found.row, found.number, after.row, after.number) == (2, 3, 3, 4)
    assert after.start == len(HEADING) + 1 + len(good) + 1 + len(line) + 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n090006,stock1,1\n", "its first line is"),
        (b"Time,Stock,Price\n", "no row below its heading"),
        (b"Time,Stock,Price", "no row below its heading"),
        (b"Time,Stock\n1,2\n", "'Time,Stock'"),
        (b"Time,Stock,Price,Volume\n1\n", "and no others; it is 'Time,Stock,Price,Volume'"),
        (b"Time,Stock,Stock\n1\n", "'Time,Stock,Stock'"),
        (b"Time;Stock;Price\n1\n", "separated by ';': save it with commas"),
        (b"090006,stock1,1\n1\n", "'090006,stock1,1'"),
        (b"Time,Stock,\xff\n1\n", "no line of CSV in UTF-8"),
        (b'Time,"Stock,Price\n1\n', "no line of CSV in UTF-8"),
        (b"\xff\xfeT\0i\0", "UTF-16"),
        (b"PK\x03\x04xx", "Excel or zip"),
        (b"\x1f\x8b\x08\x00", "gzip"),
    ],
)
def test_files_that_are_none_of_prices(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(FileError, match=words):
        read(file_of(tmp_path, content))


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"none\.csv: No such file"):
        read(tmp_path / "none.csv")
    with pytest.raises(FileError, match="not a regular file"):
        read(tmp_path)


@given(
    pieces=st.lists(
        st.sampled_from(
            [b"090006,stock1,1", b"", b" ", b"x", b'"', b"\r", b"\xff", b",,", b"\xc3\xa9"]
        ),
        min_size=1,
        max_size=30,
    ),
    end=st.sampled_from([b"\n", b"\r\n"]),
    last=st.booleans(),
    data=st.data(),
)
def test_reading_goes_on_behind_any_line(
    tmp_path_factory: pytest.TempPathFactory,
    pieces: list[bytes],
    end: bytes,
    last: bool,
    data: st.DataObject,
) -> None:
    content = end.join([HEADING.encode(), *pieces]) + (end if last else b"x")
    path = file_of(tmp_path_factory.mktemp("file"), content)
    with opened(path) as file:
        whole = file.reading(file.beginning())
        positions, found = [], []
        for line in whole:
            found.append(line)
            positions.append(whole.position())
        assert whole.position().bytes == len(content)
        assert whole.position().sha256 == hashlib.sha256(content).hexdigest()
        for count, at in enumerate(positions, start=1):
            assert at.rows == count
            assert at.sha256 == hashlib.sha256(content[: at.bytes]).hexdigest()
        if positions:
            count = data.draw(st.integers(1, len(positions)))
            at = Position.parse(positions[count - 1].text())
            place = file.survey(at).place
            assert place is not None
            assert list(file.reading(place)) == found[count:]


def test_another_beginning_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", lines(100))
    content = path.read_bytes()
    wanted = Position(900, 40, hashlib.sha256(content[:900]).hexdigest())
    for at in (0, 300, 899):
        changed = bytearray(content)
        changed[at] ^= 1
        if at:  # else it is no heading any more
            with opened(file_of(tmp_path, bytes(changed))) as file:
                assert file.survey(wanted).place is None
    changed = bytearray(content)
    changed[900] ^= 1
    with opened(file_of(tmp_path, bytes(changed))) as file:
        assert file.survey(wanted).place is not None
    with opened(file_of(tmp_path, content[:899])) as file:
        assert file.survey(wanted).place is None


@pytest.mark.parametrize("text", ["", "1", "[]", "{}", '{"bytes":1,"rows":"1","sha256":"a"}'])
def test_a_position_of_somebody_else(text: str) -> None:
    with pytest.raises(ValueError):
        Position.parse(text)


@pytest.mark.parametrize("line_end", ["\n", ""])
def test_rows_belong_to_the_first_file_that_had_them(tmp_path: Path, line_end: str) -> None:
    """Of the file before too where its last line had no end."""
    rows = lines(12)
    text = "\n".join([HEADING, *rows])
    first, second = f"{HEADING}\n" + "\n".join(rows[:4]) + line_end, "\n".join([HEADING, *rows[:9]])
    of = [hashlib.sha256(each.encode()).hexdigest() for each in (first, second, text)]
    path = file_of(tmp_path, text.encode())
    with opened(path) as file:
        found = list(file.reading(file.beginning()))
        both = file.survey(known={of[0], of[1], "f" * 64})
        assert [both.source(each) for each in found] == [of[0]] * 4 + [of[1]] * 5 + [of[2]] * 3
        assert {file.survey(known={of[2]}).source(each) for each in found} == {of[2]}
        assert {file.survey().source(each) for each in found} == {of[2]}


@pytest.mark.parametrize(("added", "goes_on"), [("\n", True), ("\r\n", True), ("5\n", False)])
def test_a_line_that_was_cut_is_not_read_twice(tmp_path: Path, added: str, goes_on: bool) -> None:
    content = f"{HEADING}\n090006,stock1,1"
    at = Position(len(content), 1, hashlib.sha256(content.encode()).hexdigest())
    with opened(file_of(tmp_path, f"{content}{added}090007,stock1,2\n".encode())) as file:
        place = file.survey(at).place
        assert place is not None
        if goes_on:
            (line,) = file.reading(place)
            assert (line.row, line.number, line.cells) == (2, 3, Cells("090007", "stock1", "2"))
        else:
            with pytest.raises(FileError, match=r"Line 2 of .* was read when it had no line end"):
                file.reading(place)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        path = written(tmp_path / f"{count}.csv", lines(count))
        tracemalloc.start()
        with opened(path) as file:
            file.survey(known={"f" * 64})
            for line in file.reading(file.beginning()):
                assert not isinstance(line.cells, Refusal)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(10)
    assert peak(20_000) < 2 * peak(2_000)


def test_a_file_that_becomes_shorter_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", lines(9_000))
    with opened(path) as file:
        reading = file.reading(file.beginning())
        next(reading)
        path.write_bytes(path.read_bytes()[:50])
        with pytest.raises(FileError, match="became shorter"):
            list(reading)
