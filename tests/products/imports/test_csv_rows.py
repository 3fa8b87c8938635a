import codecs
import csv
import io
import itertools
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.sample_csv import BAD_RECORDS, Sample, write_sample
from products.imports import csv_rows
from products.imports.csv_header import HEADER_BYTES
from products.imports.csv_rows import (
    Batch,
    Carry,
    FileError,
    Header,
    Limits,
    PartReader,
    RowError,
    parse_part,
)
from tests.products.imports.csv_oracle import NotImportable, read_file

MIB = 1024 * 1024
HEADER = b"name,sku,description\r\n"


def read_parts(parts, encoding="utf-8", limits=csv_rows.LIMITS):
    """Read a file given in parts; the carry goes through JSON as it does between tasks."""
    whole = Batch()
    carry = Carry()
    for number, part in enumerate(parts):
        final = number == len(parts) - 1
        batch, carry = parse_part(part, carry, encoding=encoding, final=final, limits=limits)
        assert len(carry.tail) <= max(limits.record_bytes + 2, HEADER_BYTES + 2)
        carry = Carry.from_dict(json.loads(json.dumps(carry.to_dict())), carry.tail)
        whole.rows += batch.rows
        whole.errors += batch.errors
        whole.blank_lines += batch.blank_lines
        whole.undecodable += batch.undecodable
    assert carry.tail == b""
    return whole


def read(data, encoding="utf-8", limits=csv_rows.LIMITS):
    return read_parts([data], encoding, limits)


def read_records(records, header=HEADER, **options):
    return read(header + records, **options)


def cut(data, size):
    return [data[at : at + size] for at in range(0, len(data), size)] or [b""]


def header_of(data, encoding="utf-8"):
    _, carry = parse_part(data, Carry(), encoding=encoding, final=True)
    return carry.header


def rows_of(batch):
    assert batch.errors == []
    return batch.rows


def only_error(batch):
    assert batch.rows == []
    assert len(batch.errors) == 1
    return batch.errors[0]


# Header


@pytest.mark.parametrize(
    "first_line",
    [
        b"name,sku,description",
        b"\xef\xbb\xbfname,sku,description",
        b'\xef\xbb\xbf"name","sku","description"',
        b" Name ,SKU,\tDescription ",
        b"NAME,Sku,DESCRIPTION",
        b"name;sku;description",
        b"name\tsku\tdescription",
        b"\r\n \t\n\rname,sku,description",
        b"\xef\xbb\xbf\r\nname,sku,description",
    ],
)
def test_it_understands_the_header(first_line):
    header = header_of(first_line)
    assert (header.width, header.name, header.sku, header.description) == (3, 0, 1, 2)
    assert header.active is None
    assert header.ignored == ()


def test_it_finds_columns_in_any_order():
    batch = read(b"active,description,x,sku,name\nyes,text,1,a-1,Ann\n")
    assert rows_of(batch) == [(2, "a-1", "Ann", "text", True)]


def test_it_reports_columns_that_are_ignored():
    header = header_of(b'sku,"Price, net",name,,caf\xe9,\n')
    assert header.ignored == ("Price, net", "caf\\xe9")
    assert header.width == 6


def test_it_cuts_a_long_name_of_an_ignored_column():
    (name,) = header_of(b"sku,name," + b"x" * 5_000).ignored
    assert len(name) == 60
    assert name.endswith("x…")


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_it_reads_records_with_the_delimiter_of_the_header(delimiter):
    data = delimiter.join(("sku", "name", "description")) + "\n"
    data += delimiter.join(("a", "Ann", '"1,5"')) + "\n"
    assert rows_of(read(data.encode())) == [(2, "a", "Ann", "1,5", None)]


def test_a_header_makes_sense_with_commas_first():
    header = header_of(b"sku,name,size;weight\n")
    assert header.delimiter == ","
    assert header.ignored == ("size;weight",)


def test_a_header_name_may_hold_a_line_break():
    batch = read(b'sku,"long\r\nname",name\r\na,1,Ann\r\n')
    assert rows_of(batch) == [(3, "a", "Ann", None, None)]


@pytest.mark.parametrize(
    ("first_line", "message"),
    [
        (b"a,b,c", 'The header has no column "sku" and no column "name". Found: a, b, c.'),
        (b"name,price", 'The header has no column "sku". Found: name, price.'),
        (b"SKU;Titel;Text", 'The header has no column "name". Found: SKU, Titel, Text.'),
        (b"sku", 'The header has no column "name". Found: sku.'),
        (b"sku,,x", 'The header has no column "name". Found: sku, "", x.'),
        (b"sku,name,SKU ", 'The header has the column "sku" 2 times. Found: sku, name, SKU.'),
        (b"name,sku,Name,name", 'The header has the column "name" 3 times.'),
        (b"sku,name,description,description", 'The header has the column "description" 2 times.'),
        (b"sku,name,active,active", 'The header has the column "active" 2 times.'),
        (b'sku,"name', "The header has a quote that is not closed"),
        (b'sku,"name"x', "The header has a quote that is not closed, or has text after"),
        (b"x," * 30 + b"x", "x and 11 more. "),
        (b"x" * 70_000, "The first line is longer than 65,536 bytes"),
        (b" " * 70_000 + b"\nsku,name", "The first line is longer than 65,536 bytes"),
        (b"\0\0\0\0\0\0\0\0", "This looks like a binary file"),
        (b"sku,name\0\0", "This looks like a binary file"),
        (b'sku,name,"\n\0"', "This looks like a binary file"),
        (b"PK\x03\x04\x14\0\0\0notes.csv", "This looks like a ZIP archive"),
        (b"PK\x03\x04\x14\0[Content_Types].xml", "This looks like an Excel workbook (.xlsx)"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "This looks like an old Excel workbook (.xls)"),
        (b"\x1f\x8b\x08\0", "This looks like a gzip file"),
        (b"BZh91AY", "This looks like a bzip2 file"),
        (b"\xfd7zXZ\0", "This looks like an xz file"),
        (b"%PDF-1.7\n", "This looks like a PDF document"),
        (b"\x89PNG\r\n\x1a\n", "This looks like a PNG image"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "This looks like a JPEG image"),
        (b"GIF89a", "This looks like a GIF image"),
        ("sku,name\n".encode("utf-16"), "This looks like text in UTF-16"),
        (codecs.BOM_UTF16_BE + "sku,name\n".encode("utf-16-be"), "This looks like text in UTF-16"),
        ("sku,name\n".encode("utf-16-le"), "This looks like text in UTF-16"),
        ("sku,name\n".encode("utf-16-be"), "This looks like text in UTF-16"),
    ],
)
@pytest.mark.parametrize("part_bytes", [1 << 30, 7])
def test_it_refuses_a_file_it_cannot_understand(first_line, message, part_bytes):
    with pytest.raises(FileError) as caught:
        read_parts(cut(first_line + b"\na,b,c\n", part_bytes))
    assert message in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf", b" \r\n\r\n\t\n", b"\r", b"\n" * 100_000])
@pytest.mark.parametrize("part_bytes", [1 << 30, 1_000, 1])
def test_it_refuses_an_empty_file(data, part_bytes):
    parts = cut(data, part_bytes) if len(data) < 100 else cut(data, max(part_bytes, 1_000))
    with pytest.raises(FileError, match=r"^The file is empty\.$"):
        read_parts(parts)


@pytest.mark.parametrize("data", [HEADER, HEADER.rstrip(), HEADER * 1 + b"\r\n\r\n"])
def test_a_header_alone_gives_no_rows_and_no_errors(data):
    batch = read(data)
    assert (batch.rows, batch.errors) == ([], [])


def test_a_header_goes_through_json():
    header = header_of(b"sku;name;price\n")
    assert Header.from_dict(json.loads(json.dumps(header.to_dict()))) == header


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-7", "cp037"])
def test_it_refuses_an_encoding_that_changes_ascii(encoding):
    with pytest.raises(ValueError):
        parse_part(HEADER, Carry(), encoding=encoding, final=True)


def test_it_refuses_an_unknown_encoding():
    with pytest.raises(LookupError):
        parse_part(HEADER, Carry(), encoding="latin-99", final=True)


# Line ends and line numbers


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("part_bytes", [1 << 30, 3, 2, 1])
def test_it_counts_lines_as_an_editor_does(line_end, part_bytes):
    lines = [b"name,sku", b"Ann,a", b"", b'"Bob', b"", b'B",b', b"Cy,c"]
    batch = read_parts(cut(line_end.join(lines), part_bytes))
    name = f"Bob{line_end.decode() * 2}B"
    assert rows_of(batch) == [
        (2, "a", "Ann", None, None),
        (4, "b", name, None, None),
        (7, "c", "Cy", None, None),
    ]
    assert batch.blank_lines == 1


def test_it_takes_mixed_line_ends():
    batch = read(b"name,sku\rA,a\nB,b\r\nC,c\n\rD,d")
    assert [row[:2] for row in rows_of(batch)] == [(2, "a"), (3, "b"), (4, "c"), (6, "d")]
    assert batch.blank_lines == 1


def test_it_ends_a_line_only_at_line_ends():
    batch = read_records("A,a,1\v2\f3\x1c4\x854\u20285\nB,b,\n".encode())
    assert [row[0] for row in rows_of(batch)] == [2, 3]
    assert batch.rows[0][3] == "1\v2\f3\x1c4\x854\u20285"


# Fields


def test_it_trims_sku_and_name_but_not_the_description():
    batch = read_records("\u3000Ann Lee \t, a-1\u00a0, text \r\n".encode())
    assert rows_of(batch) == [(2, "a-1", "Ann Lee", " text ", None)]


def test_it_keeps_the_case_of_the_sku():
    assert rows_of(read_records(b"Ann,Ab-C,\n"))[0][1] == "Ab-C"


def test_an_absent_description_is_none_and_an_empty_one_is_empty():
    assert rows_of(read(b"name,sku\nAnn,a\n"))[0][3] is None
    assert rows_of(read_records(b"Ann,a,\n"))[0][3] == ""
    assert rows_of(read_records(b'Ann,a,""\n'))[0][3] == ""


def test_it_reads_quoted_fields():
    batch = read_records(b'"Ann ""A"" Lee","a,1","two\r\nlines"\r\n')
    assert rows_of(batch) == [(2, "a,1", 'Ann "A" Lee', "two\r\nlines", None)]


def test_a_quote_inside_an_unquoted_field_is_a_character():
    assert rows_of(read_records(b'Pipe 5",p-5,a "b" c\n'))[0][2:4] == ('Pipe 5"', 'a "b" c')


def test_the_longest_values_are_taken():
    sku, name, description = "ü" * 128, "名" * 255, "😀" * 10_000
    batch = read_records(f"{name},{sku},{description}\n".encode())
    assert rows_of(batch) == [(2, sku, name, description, None)]


@pytest.mark.parametrize("rest", [b"", b"Good,g,\n"])
@pytest.mark.parametrize(
    ("record", "column", "message"),
    [
        (b"Ann,a", "", "2 columns where the header has 3"),
        (b"Ann", "", "1 column where the header has 3"),
        (b"Ann,a,b,c", "", "4 columns where the header has 3"),
        (b" ", "", "1 column where the header has 3"),
        (b",,", "sku", "no sku"),
        (b"Ann,,x", "sku", "no sku"),
        (b"Ann, \t ,x", "sku", "no sku"),
        ("Ann,\u00a0\u2003\u3000,x".encode(), "sku", "no sku"),
        (b"Ann," + b"x" * 129 + b",", "sku", "129 characters, at most 128 are allowed"),
        (b",a,x", "name", "no name"),
        (b'" ",a,x', "name", "no name"),
        (b"n" * 256 + b",a,x", "name", "256 characters, at most 255 are allowed"),
        (
            b"Ann,a," + b"d" * 10_001,
            "description",
            "10,001 characters, at most 10,000 are allowed",
        ),
        (b"A\0,a,x", "name", "a NUL character (\\x00)"),
        (b"A,\0,x", "sku", "a NUL character (\\x00)"),
        (b"A,a,\0", "description", "a NUL character (\\x00)"),
        (b"A,a,caf\xe9", "description", "bytes that are not UTF-8: \\xe9"),
        (b"A,a\xc3,x", "sku", "bytes that are not UTF-8: \\xc3"),
        (b"A,a,\xed\xa0\x80", "description", "bytes that are not UTF-8: \\xed"),
        (b"\xff,a", "name", "bytes that are not UTF-8: \\xff"),
        (b"A,a,b,\xff", "", "bytes that are not UTF-8: \\xff"),
        (
            b'A,a,"x"y',
            "",
            "text after a closing quote, in line 2; write a quote twice",
        ),
        (b'A,a,"x" ', "", "text after a closing quote, in line 2; write a quote twice"),
    ],
)
def test_it_refuses_a_record(record, column, message, rest):
    batch = read_records(record + b"\r\n" + rest)
    raw = record.decode("utf-8", "backslashreplace").replace("\0", "\\x00")
    assert batch.errors == [RowError(2, column, message, raw)]
    assert len(batch.rows) == bool(rest)
    assert batch.undecodable == ("UTF-8" in message)


def test_a_nul_in_an_ignored_column_is_refused_as_a_whole():
    batch = read(b"sku,name,x\na,Ann,\0\n")
    assert only_error(batch).column == ""


@pytest.mark.parametrize("word", ["true", "T", "1", "Yes", "y", "ACTIVE", " True ", "tRuE"])
def test_it_reads_active(word):
    assert rows_of(read(b"sku,name,active\na,A," + word.encode()))[0][4] is True


@pytest.mark.parametrize("word", ["false", "F", "0", "No", "n", "Inactive", "FALSE ", "iNactive"])
def test_it_reads_inactive(word):
    assert rows_of(read(b"sku,name,active\na,A," + word.encode()))[0][4] is False


@pytest.mark.parametrize("word", ["", "  "])
def test_an_empty_active_field_is_none(word):
    batch = read(b"sku,name,active\nz,Z,1\na,A," + word.encode() + b"\n")
    assert rows_of(batch)[1][4] is None


@pytest.mark.parametrize("word", ["maybe", "2", "on", "-", "null"])
def test_it_refuses_another_word_for_active(word):
    error = only_error(read(b"sku,name,active\na,A," + word.encode()))
    assert error[:3] == (2, "active", "neither yes nor no: write true, false, or nothing")


# Encodings


def test_it_reads_windows_1252():
    batch = read_records(b"Caf\xe9 \x80,a,\x93x\x94\n", encoding="cp1252")
    assert rows_of(batch)[0][2:4] == ("Café €", "“x”")


def test_it_refuses_bytes_that_windows_1252_lacks():
    batch = read_records(b"A,a,x\x81y\nB,b,\xfc\n", encoding="cp1252")
    assert batch.errors == [
        (2, "description", "bytes that are not Windows-1252: \\x81", "A,a,x\\x81y")
    ]
    assert rows_of(Batch(rows=batch.rows)) == [(3, "b", "B", "ü", None)]


def test_it_strips_a_utf8_bom_in_any_encoding():
    assert rows_of(read(b"\xef\xbb\xbfsku,name\na,A\n", encoding="cp1252"))[0][1] == "a"


def test_it_reads_other_encodings_that_keep_ascii():
    data = "name,sku\n表,能\n".encode("shift_jis")
    batch = read_parts(cut(data, 1), encoding="shift_jis")
    assert rows_of(batch) == [(2, "能", "表", None, None)]


def test_it_counts_undecodable_records_and_takes_the_others():
    batch = read_records(b"A,a,\xe9\nB,b,\xc3\xa9\nC,c,\xe8\xe9\nD,d,d\n")
    assert batch.undecodable == 2
    assert [row[1] for row in batch.rows] == ["b", "d"]


# Quotes that are not closed


def test_an_open_quote_costs_one_line_at_the_end_of_the_file():
    batch = read_records(b'A,a,"open\nB,b,x\nC,c,y\n')
    assert batch.errors == [
        (2, "", "a quote opened here is not closed at the end of the file", 'A,a,"open')
    ]
    assert [row[1] for row in batch.rows] == ["b", "c"]


def test_a_record_of_a_thousand_lines_is_taken():
    batch = read_records(b'A,a,"' + b"x\n" * 999 + b'"\nB,b,\n')
    assert [row[0] for row in rows_of(batch)] == [2, 1002]


def test_a_record_of_more_than_a_thousand_lines_costs_its_first_line():
    batch = read_records(b'A,a,"' + b"b,b,b\n" * 1000 + b'"\nB,b,\n')
    # The last line of it opens a quote again, which nothing closes.
    assert [error[:3] for error in batch.errors] == [
        (2, "", "a quote opened here is not closed within 1,000 lines"),
        (1002, "", "a quote opened here is not closed at the end of the file"),
    ]
    assert batch.errors[0].raw == 'A,a,"b,b,b'
    assert len(batch.rows) == 1000


@pytest.mark.parametrize(("extra", "taken"), [(0, True), (1, False)])
def test_a_record_holds_a_mebibyte(extra, taken):
    # Ignored column: nothing else is too long.
    start, end = b'a,A,"', b'\n"'
    middle = b"x" * (MIB - len(start) - len(end) + extra)
    batch = read(b"sku,name,x\n" + start + middle + end + b"\r\nb,B,\n")
    if taken:
        assert [row[0] for row in rows_of(batch)] == [2, 4]
    else:
        assert [error[:3] for error in batch.errors] == [
            (2, "", "a quote opened here is not closed within 1,048,576 bytes"),
            (3, "", "a quote opened here is not closed at the end of the file"),
        ]
        assert [row[0] for row in batch.rows] == [4]


@pytest.mark.parametrize(("extra", "taken"), [(0, True), (1, False)])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r", b""])
def test_a_physical_line_holds_a_mebibyte(extra, taken, line_end):
    line = b"a,A," + b"x" * (MIB - 4 + extra)
    batch = read(b"sku,name,x\n" + line + line_end)
    if taken:
        assert [row[0] for row in rows_of(batch)] == [2]
    else:
        error = only_error(batch)
        assert error[:3] == (2, "", "a line of more than 1,048,576 bytes")
        assert error.raw == line[:65_535].decode() + "…"


@pytest.mark.parametrize("part_bytes", [1 << 30, 4 * MIB, 300_000])
@pytest.mark.parametrize("quote", [b"", b'"'])
def test_a_field_of_ten_megabytes_is_passed_over(quote, part_bytes):
    line = b"A,a," + quote + b"x" * (10 * MIB) + quote
    batch = read_parts(cut(HEADER + line + b"\r\nB,b,\r\n", part_bytes))
    assert [error[:3] for error in batch.errors] == [(2, "", "a line of more than 1,048,576 bytes")]
    assert len(batch.errors[0].raw) == 65_536
    assert rows_of(Batch(rows=batch.rows)) == [(3, "b", "B", "", None)]


def test_a_wrong_quote_in_a_later_line_costs_the_first_line():
    batch = read_records(b'A,a,"one\nB,b,two\nC,"c",x\nD,d,\n')
    assert batch.errors == [
        (2, "", "text after a closing quote, in line 4; write a quote twice", 'A,a,"one')
    ]
    assert [row[0] for row in batch.rows] == [3, 4, 5]


def test_lines_that_all_stay_in_quotes_are_read_only_a_few_times(monkeypatch):
    """1,000 lines are looked through in vain for each line that is refused."""
    read_lines = 0
    bare_reader = csv.reader

    def counting_reader(lines, **options):
        def counted():
            nonlocal read_lines
            for line in lines:
                read_lines += 1
                yield line

        return bare_reader(counted(), **options)

    monkeypatch.setattr(csv_rows.csv, "reader", counting_reader)
    lines = 20_000
    batch = read_records(b'a","b\n' * lines)
    assert len(batch.errors) == lines
    assert read_lines < 10 * lines


def test_the_raw_text_is_bounded_and_whole_characters():
    batch = read_records("Ann,,{}\n".format("é" * 40_000).encode())
    raw = only_error(batch).raw
    assert raw == "Ann,," + "é" * 32_765 + "…"


def test_the_raw_text_is_bounded_after_escaping():
    batch = read_records(b"Ann,," + b"\0" * 60_000)
    raw = only_error(batch).raw
    assert len(raw) == 65_536
    assert raw.endswith("…")


def test_a_field_limit_set_elsewhere_is_not_lowered():
    assert csv.field_size_limit() > MIB


def test_the_carry_goes_through_json():
    data = HEADER + b"A,a,\n" * 20_000 + b'A,a,"\xff'
    _, carry = parse_part(data, Carry(), encoding="utf-8", final=False)
    assert carry.tail == b'A,a,"\xff'
    assert carry.line == 20_002
    assert Carry.from_dict(json.loads(json.dumps(carry.to_dict())), carry.tail) == carry


def test_batches_are_bounded():
    data = HEADER + b"A,a,x\n" * 200_000
    reader = PartReader(data, Carry(), encoding="utf-8", final=True)
    assert max(len(batch.rows) for batch in reader) <= 256 * 1024 // 6


# Any partition, and the oracle

PIECES = [
    b"a,b,c\n",
    b"A,b,c\r\n",
    b'a,b,"c\nd"\r\n',
    b'a,"b","c"\r',
    b"a;b;c\n",
    b"a\tb\tc\n",
    b'"',
    b'""',
    b'"\n',
    b',"',
    b'",',
    b'","',
    b'a","b\n',
    b",",
    b"\n",
    b"\r",
    b"\r\n",
    b" ",
    b"a",
    b"yes",
    b"\0",
    b"\xff",
    b"\x81",
    b"\xc3\xa9",
    b"\xc3",
    b"\xf0\x9f\x98\x80",
    b"\xf0\x9f",
    b"\xe2\x80\xa8",
    b"\x85",
    b"\x0b",
    b"x" * 45,
    b"x" * 129,
    b"x" * 256,
]
HEADERS = [
    b"name,sku,description\n",
    b"\xef\xbb\xbfname,sku,description\r\n",
    b"sku,name\r",
    b"sku,active,name\r\n",
    b"\r\n\n \nextra,sku,name,active,description,\n",
    b"name;sku;description\r\n",
    b"name\tsku\tdescription\n",
    b"sku,price\n",
    b"sku,name,sku\n",
    b"",
]
files = st.builds(
    lambda header, pieces, end: header + b"".join(pieces) + end,
    st.sampled_from(HEADERS),
    st.lists(st.sampled_from(PIECES), max_size=40),
    st.sampled_from([b"", b"\n", b"\r\n", b"\r"]),
)
small_limits = st.builds(
    lambda size, lines, raw, window: Limits(size, lines, min(raw, size), window),
    size=st.sampled_from([5, 12, 40, 200, MIB]),
    lines=st.sampled_from([1, 2, 3, 5, 1000]),
    raw=st.sampled_from([5, 30, 65_536]),
    window=st.sampled_from([3, 10, 50, 300, 256 * 1024]),
)
encodings = st.sampled_from(["utf-8", "cp1252"])


@st.composite
def files_in_parts(draw):
    data = draw(files)
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=12)))
    bounds = [0, *cuts, len(data)]
    return [data[start:end] for start, end in itertools.pairwise(bounds)]


def outcome(parts, encoding, limits):
    try:
        batch = read_parts(parts, encoding, limits)
    except FileError as error:
        return str(error)
    return batch


@settings(max_examples=800, deadline=None)
@given(files_in_parts(), encodings, small_limits)
def test_any_partition_gives_what_one_part_gives(parts, encoding, limits):
    whole = outcome([b"".join(parts)], encoding, limits)
    assert outcome(parts, encoding, limits) == whole


@settings(max_examples=300, deadline=None)
@given(files, encodings, small_limits)
def test_single_bytes_give_what_one_part_gives(data, encoding, limits):
    assert outcome(cut(data, 1), encoding, limits) == outcome([data], encoding, limits)


@settings(max_examples=1_500, deadline=None)
@given(files, encodings, small_limits)
@example(HEADER + b'a","b\n' * 30, "utf-8", Limits(record_lines=4, window_bytes=20))
@example(HEADER + b'a,"\nb,"\nc,"\n"x\n', "utf-8", Limits(record_lines=3))
@example(HEADER + b'"\n"\n"\na,b,c\n', "utf-8", Limits(5, 2, 5, 3))
@example(HEADER + b"a,\xff\xf0\x9f\x98\x80,", "utf-8", Limits(raw_characters=5))
def test_it_agrees_with_the_oracle(data, encoding, limits):
    try:
        expected = read_file(data, encoding=encoding, limits=limits)
    except NotImportable:
        with pytest.raises(FileError):
            read(data, encoding, limits)
        return
    batch = read(data, encoding, limits)
    assert batch.rows == expected.rows
    assert [without_bytes(error) for error in batch.errors] == [
        without_bytes(error) for error in expected.errors
    ]
    assert batch.blank_lines == expected.blank_lines
    assert batch.undecodable == expected.undecodable


def without_bytes(error):
    """The oracle doesn't say how many of the undecodable bytes are shown."""
    line, column, message, raw = error
    return line, column, message.partition(": \\x")[0], raw


texts = st.text(
    st.characters(codec="utf-8", exclude_characters="\0")
    | st.sampled_from(['"', ",", ";", "\n", "\r", "é", "\u2028"]),
    max_size=30,
)
values = texts.map(str.strip).filter(bool)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(values, values, texts, st.sampled_from([None, True, False]))),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.integers(1, 50),
)
def test_what_csv_writer_wrote_comes_back(products, delimiter, line_end, part_bytes):
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter, lineterminator=line_end, quoting=csv.QUOTE_ALL)
    writer.writerow(["name", "sku", "description", "active"])
    words = {None: "", True: "yes", False: "no"}
    for sku, name, description, active in products:
        writer.writerow([name, sku, description, words[active]])
    batch = read_parts(cut(file.getvalue().encode(), part_bytes))
    assert [row[1:] for row in rows_of(batch)] == products


# The sample that benches and large tests use


def sample(**options):
    file = io.BytesIO()
    return write_sample(file, 2_000, **options), file.getvalue()


def test_the_sample_has_the_statistics_of_the_reference_file():
    written, data = sample()
    assert written == Sample(rows=2_000, distinct=1_867, rejects=0, bytes=len(data))
    assert abs(len(data) / 2_000 - 180.36) < 2
    rows = rows_of(read(data))
    skus = [sku for _, sku, *_ in rows]
    assert len(rows) == 2_000
    assert len({sku.lower() for sku in skus}) == 1_867
    assert len(set(skus)) > 1_867
    assert all("\n" in description for *_, description, _ in rows)
    assert data.startswith(b"name,sku,description\r\n")


def test_the_sample_is_the_same_for_the_same_seed():
    assert sample() == sample()
    assert sample(seed=2)[1] != sample()[1]


def test_the_sample_meets_a_target_size():
    _, data = sample(bytes_target=2_000 * 220)
    assert abs(len(data) / 2_000 - 220) < 3


def test_the_sample_changes_a_share_of_the_descriptions():
    before, after = (rows_of(read(sample(changed_fraction=share)[1])) for share in (0, 0.25))
    assert [row[1:3] for row in before] == [row[1:3] for row in after]
    changed = sum(old[3] != new[3] for old, new in zip(before, after, strict=True))
    assert 400 < changed < 600


def test_each_bad_record_of_the_sample_is_refused_and_no_other():
    count = 5 * len(BAD_RECORDS)
    written, data = sample(rejects=count)
    batch = read(data)
    assert written.rejects == count
    assert len(batch.errors) == count
    assert [row[1:] for row in batch.rows] == [row[1:] for row in rows_of(read(sample()[1]))]
