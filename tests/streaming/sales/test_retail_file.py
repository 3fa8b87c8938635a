"""The retail file by tables: both sets of columns, types, and what a line that is no sale costs."""

import json
import math
import tracemalloc
from pathlib import Path

import pytest

from streaming.sales.retail_file import FileError, NoSale, Sale, sales
from streaming.sales.retail_lines import LINE_CHARACTERS, RECORD_LINES

SEVEN = "Invoice,StockCode,Description,Quantity,Price,Customer ID,Country"
EIGHT = "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country"
OLDER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
LINE = "489434,85048,GLASS BALL,12,6.95,13085,United Kingdom"
MESSAGE = {
    "Invoice": "489434",
    "StockCode": "85048",
    "Description": "GLASS BALL",
    "Quantity": 12,
    "Price": 6.95,
    "Customer ID": 13085.0,
    "Country": "United Kingdom",
    "InvoiceDate": None,
}


@pytest.fixture
def read(tmp_path: Path):
    """`read(text)`: what is found in a file that holds it."""

    def read(
        content: str | bytes, encoding: str = "latin-1", *, like_original: bool = False
    ) -> list[Sale | NoSale]:
        path = tmp_path / "retail.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode("latin-1"))
        return list(sales(path, encoding, like_original=like_original))

    return read


def test_it_types_fields_as_pandas_does(read) -> None:
    (found,) = read(f"{SEVEN}\n{LINE}\n")
    assert found == Sale(2, "85048", MESSAGE)
    assert [type(each) for each in found.message.values()] == [
        *(str, str, str, int, float, float, str, type(None))
    ]


@pytest.mark.parametrize(
    ("heading", "line"),
    [
        (SEVEN, LINE),
        (EIGHT, "489434,85048,GLASS BALL,12,2009-12-01 07:45:00,6.95,13085,United Kingdom"),
        (OLDER, "489434,85048,GLASS BALL,12,12/1/2009 7:45,6.95,13085,United Kingdom"),
        ("\ufeff" + SEVEN, LINE),
        (SEVEN.lower(), LINE),
        (" , ".join(SEVEN.split(",")), LINE),
        ("Country,StockCode,Quantity,Description,Price,Customer ID,Invoice",
         "United Kingdom,85048,12,GLASS BALL,6.95,13085,489434"),
        ('"' + '","'.join(SEVEN.split(",")) + '"', LINE),
    ],
    ids=["7", "8", "older names", "byte order mark", "case", "blanks", "order", "quoted"],
)  # fmt: skip
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("last", [True, False], ids=["ended", "cut"])
def test_it_reads_every_form_alike(read, heading: str, line: str, end: str, last: bool) -> None:
    text = heading + end + line + (end if last else "")
    (found,) = read(text.encode())
    assert found == Sale(2, "85048", MESSAGE)
    assert list(found.message) == list(MESSAGE)


def test_like_the_original_has_the_order_of_the_file_and_bare_nan(read) -> None:
    line = "C489,85048,,-12,2009-12-01 07:45:00,6,,EIRE"
    (found,) = read(f"{EIGHT}\n{line}\n", like_original=True)
    found.message["InvoiceDate"] = 1674744306.978004
    assert json.dumps(found.message) == (
        '{"Invoice": "C489", "StockCode": "85048", "Description": NaN, "Quantity": -12, '
        '"InvoiceDate": 1674744306.978004, "Price": 6.0, "Customer ID": NaN, "Country": "EIRE"}'
    )


@pytest.mark.parametrize("word", ["", "NA", "nan", "NULL", "None", "#N/A"])
def test_like_the_original_knows_what_pandas_takes_for_empty(read, word: str) -> None:
    (found,) = read(f"{SEVEN}\n1,2,{word},1,1,{word},{word}\n", like_original=True)
    empty = [found.message[name] for name in ("Description", "Customer ID", "Country")]
    assert all(isinstance(each, float) and math.isnan(each) for each in empty)


def test_empty_cells_are_null_otherwise(read) -> None:
    (found,) = read(f"{SEVEN}\n,2,,1,1,,NA\n")
    names = ("Invoice", "Description", "Customer ID", "Country")
    assert [found.message[name] for name in names] == [None, None, None, "NA"]


@pytest.mark.parametrize(
    ("quantity", "price", "right"),
    [
        ("12", "6.95", (12, 6.95)),
        ("-12", "-6", (-12, -6.0)),
        ("+3", "0", (3, 0.0)),
        (" 3 ", " 1.5 ", (3, 1.5)),
        ("2.5", ".5", (2.5, 0.5)),
        ("1e2", "1e-3", (100.0, 0.001)),
        ("123456789012345678", "1.", (123456789012345678, 1.0)),
    ],
)
def test_numbers(read, quantity: str, price: str, right: tuple[float, float]) -> None:
    (found,) = read(f"{SEVEN}\n1,2,x,{quantity},{price},1,y\n")
    figures = found.message["Quantity"], found.message["Price"]
    assert figures == right
    assert [type(each) for each in figures] == [type(each) for each in right]


@pytest.mark.parametrize("word", ["", "abc", "1_0", "nan", "inf", "1e999", "1,5", "0x1", "１"])
@pytest.mark.parametrize("column", ["Quantity", "Price"])
def test_what_is_no_number_is_no_sale(read, column: str, word: str) -> None:
    cells = {"Quantity": "1", "Price": "1"} | {column: f'"{word}"'}
    text = f"{SEVEN}\n1,2,x,{cells['Quantity']},{cells['Price']},1,y\n{LINE}\n"
    refused, good = read(text.encode(), "utf-8")
    assert refused == NoSale(2, f"{column} is no number: {word!r}")
    assert good == Sale(3, "85048", MESSAGE)


def test_a_customer_without_number_keeps_the_text(read) -> None:
    (found,) = read(f"{SEVEN}\n1,2,x,1,1,TEST,y\n")
    assert found.message["Customer ID"] == "TEST"


@pytest.mark.parametrize(
    ("lines", "right"),
    [
        ("1,2,x\n", [(2, "3 columns instead of 7")]),
        ("1,2,x,1,1,1,y,z\n", [(2, "8 columns instead of 7")]),
        ("\n\r\n", []),
        (",,,,,,\n", [(2, "no StockCode")]),
        ('1,2,"x,1,1,1,y\n', [(2, "a quote that is still open at the end of the file")]),
        ('1,2,"x,1,1,1,y', [(2, "a quote that is still open at the end of the file")]),
        ("x" * LINE_CHARACTERS + ",1\n", [(2, "a line of more than 65,536 characters")]),
        ("1,2," + "x" * 3 * LINE_CHARACTERS + "\n", [(2, "a line of more than 65,536 characters")]),
        ('1,2,"two\r\nlines",1,1,1,y\n', [(2, "")]),
        # The line whose quote is open is lost, and none behind it.
        ('1,2,"x,1,1,1,y\n1,2,"x",1,1,1,y\n', [(2, "text after a closing quote"), (3, "")]),
        (
            '1,2,"x,1,1,1,y\n' + "1,2,x,1,1,1,y\n" * 30,
            [
                (2, f"a quote that is still open {RECORD_LINES} lines later"),
                *((line, "") for line in range(3, 33)),
            ],
        ),
        (
            '1,2,"x,1,1,1,y\n' + "1,2,x,1,1,1,y\n" + "x" * (LINE_CHARACTERS + 9) + "\n"
            "1,2,x,1,1,1,y\n",
            [
                (2, "a line of more than 65,536 characters"),
                (3, ""),
                (4, "a line of more than 65,536 characters"),
                (5, ""),
            ],
        ),
    ],
)
def test_a_line_that_is_no_sale_costs_only_itself(
    read, lines: str, right: list[tuple[int, str]]
) -> None:
    found = read(f"{SEVEN}\n{lines}")
    assert [(each.line, getattr(each, "reason", "")) for each in found] == right


def test_latin_1_is_the_default_and_others_are_read_as_told(read) -> None:
    text = f"{SEVEN}\n1,2,CAFÉ £5,1,1,1,y\n"
    for encoding in ("latin-1", "utf-8", "cp1252", "utf-16"):
        (found,) = read(text.encode(encoding), encoding)
        assert found.message["Description"] == "CAFÉ £5"


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_tells_the_encoding(read, mark: str) -> None:
    (found,) = read(f"{SEVEN}\n1,2,CAFÉ,1,1,1,y\n".encode(mark))
    assert found.message["Description"] == "CAFÉ"


def test_bytes_that_are_no_text_cost_their_line(read) -> None:
    refused, good = read(f"{SEVEN}\n1,2,CAF\xc9,1,1,1,y\n{LINE}\n".encode("latin-1"), "utf-8")
    assert refused == NoSale(2, "bytes that are no text in this encoding; see --encoding")
    assert good == Sale(3, "85048", MESSAGE)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"PK\x03\x04rest", "an Excel or zip file"),
        (b"\x1f\x8brest", "a gzip file"),
        (b"a,b\n1,2\n", "missing: Invoice, .*; unknown: 'a', 'b'"),
        (SEVEN.replace(",", ";").encode(), "separated by ';': save it with commas"),
        (SEVEN.replace("Price", "Quantity").encode(), "missing: Price; twice: Quantity"),
        (f"{SEVEN},Extra".encode(), "unknown: 'Extra'"),
        (LINE.encode(), "must name the columns"),
        (b"x" * 200_000, "must name the columns"),
    ],
)
def test_a_wrong_file_is_refused_in_words(read, content: bytes, words: str) -> None:
    with pytest.raises(FileError, match=words) as error:
        read(content)
    assert len(str(error.value)) < 1000


def test_what_can_not_be_opened_is_refused_in_words(tmp_path: Path) -> None:
    for path, words in [(tmp_path / "none.csv", "No such file"), (tmp_path, "no.*regular file")]:
        with pytest.raises(FileError, match=words):
            next(sales(path, "latin-1", like_original=False))


@pytest.mark.parametrize("encoding", ["klingon", "rot13", "base64"])
def test_an_unknown_encoding_is_refused_in_words(read, encoding: str) -> None:
    with pytest.raises(FileError, match=r"no encoding .* try latin-1"):
        read(SEVEN, encoding)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "retail.csv"
    peaks = []
    for lines in (20_000, 60_000):  # more than the cache of numbers holds
        with path.open("w") as file:
            file.write(SEVEN + "\n")
            file.writelines(f"{n},code{n},GLASS BALL,{n},{n}.5,{n},EIRE\n" for n in range(lines))
        for _ in sales(path, "latin-1", like_original=False):
            pass  # the cache of numbers is filled now
        tracemalloc.start()
        try:
            assert sum(1 for _ in sales(path, "latin-1", like_original=False)) == lines
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1_000_000
