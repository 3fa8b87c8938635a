"""A slow, obvious reader of product files, written from the rules and not from `csv_rows`.

It has the whole file in memory and looks at one character after the other. The rules:

1. A physical line ends with \\n, \\r\\n or \\r. The header is the first line that is not blank.
2. A record starts at a physical line. Its characters are read with the quoting of RFC 4180; a quote
   inside an unquoted field is a character like others. The line end inside quotes belongs to the
   field.
3. Line by line of the record: if the record, this line included but for its line end, has more
   than `record_bytes`, it fails; then the line is read; if after `record_lines` lines it is still
   inside quotes, it fails; at the end of the file too. It fails at once on text after a closing
   quote.
4. Of a record that fails its first line is an error, and the next physical line starts a record.
5. Of the faults of a record the first of these counts: bytes not in the encoding, number of
   columns, NUL, SKU, name, description, active.
"""

from dataclasses import dataclass, field

TRUE = ["true", "t", "1", "yes", "y", "active"]
FALSE = ["false", "f", "0", "no", "n", "inactive"]


class NotImportable(Exception):
    pass


class BadQuote(Exception):
    pass


@dataclass
class Outcome:
    rows: list = field(default_factory=list)
    errors: list = field(default_factory=list)
    blank_lines: int = 0
    undecodable: int = 0


def physical_lines(data: bytes) -> list[tuple[bytes, bytes]]:
    """Pairs of a line's bytes and its line end."""
    lines = []
    line = b""
    at = 0
    while at < len(data):
        if data[at : at + 2] == b"\r\n":
            lines.append((line, b"\r\n"))
            line = b""
            at += 2
        elif data[at : at + 1] in (b"\r", b"\n"):
            lines.append((line, data[at : at + 1]))
            line = b""
            at += 1
        else:
            line += data[at : at + 1]
            at += 1
    if line:
        lines.append((line, b""))
    return lines


class Machine:
    """The fields of one record, given a character at a time."""

    def __init__(self, delimiter: str) -> None:
        self.delimiter = delimiter
        self.state = "start of record"
        self.fields: list[str] = []
        self.text = ""

    def end_field(self) -> None:
        self.fields.append(self.text)
        self.text = ""
        self.state = "start of field"

    def read(self, character: str) -> None:
        if self.state == "in quotes":
            if character == '"':
                self.state = "after a quote in quotes"
            else:
                self.text += character
        elif self.state == "after a quote in quotes":
            if character == '"':
                self.text += '"'
                self.state = "in quotes"
            elif character == self.delimiter:
                self.end_field()
            else:
                raise BadQuote
        elif character == self.delimiter:
            self.end_field()
        elif character == '"' and self.state in ("start of record", "start of field"):
            self.state = "in quotes"
        else:
            self.text += character
            self.state = "in a field"

    def end_line(self, line_end: str) -> bool:
        """Say whether the record ends with the line."""
        if self.state == "in quotes":
            self.text += line_end
            return False
        if self.state != "start of record":
            self.end_field()
        return True


def shown(record: bytes, encoding: str, limit: int) -> str:
    text = ""
    at = 0
    cut = len(record) > limit
    record = record[:limit]
    while at < len(record):
        for length in (1, 2, 3, 4):
            try:
                character = record[at : at + length].decode(encoding)
            except UnicodeDecodeError:
                continue
            if len(character) == 1:
                text += "\\x00" if character == "\0" else character
                at += length
                break
        else:
            rest = record[at:]
            if cut and encoding == "utf-8" and is_start_of_character(rest):
                break
            text += f"\\x{record[at]:02x}"
            at += 1
    if cut:
        text += "…"
    return text if len(text) <= limit else text[: limit - 1] + "…"


def is_start_of_character(rest: bytes) -> bool:
    """Say whether some bytes behind these would make one character of them."""
    endings = [b"\x80", b"\x9f", b"\xa0", b"\xbf"]
    tries = [rest + end for end in endings]
    tries += [each + b"\x80" for each in tries] + [each + b"\x80\x80" for each in tries]
    for each in tries:
        try:
            if len(each.decode("utf-8")) == 1:
                return True
        except UnicodeDecodeError:
            pass
    return False


def split_whole_line(line: bytes, delimiter: str) -> list[str] | None:
    machine = Machine(delimiter)
    try:
        for character in line.decode("latin-1"):
            machine.read(character)
        return machine.fields if machine.end_line("") else None
    except BadQuote:
        return None


def read_file(data: bytes, *, encoding: str, limits) -> Outcome:
    """Read a file whose header is one physical line. Raises NotImportable."""
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
    lines = physical_lines(data)
    at = 0
    while at < len(lines) and not lines[at][0].strip(b" \t\v\f"):
        at += 1
    if at == len(lines):
        raise NotImportable
    for delimiter in ",;\t":
        names = [name.strip().lower() for name in split_whole_line(lines[at][0], delimiter) or []]
        if "sku" in names and "name" in names:
            break
    else:
        raise NotImportable
    for column in ("sku", "name", "description", "active"):
        if names.count(column) > 1:
            raise NotImportable
    at += 1

    outcome = Outcome()
    while at < len(lines):
        fields, following, reason = read_record(lines, at, delimiter, encoding, limits)
        if reason is not None:
            raw = shown(lines[at][0], encoding, limits.raw_characters)
            outcome.errors.append((at + 1, "", reason, raw))
        elif fields == []:
            outcome.blank_lines += 1
        else:
            record = b"".join(line + end for line, end in lines[at:following])
            record = record[: len(record) - len(lines[following - 1][1])]
            judge(outcome, names, fields, record, at + 1, encoding, limits)
        at = following
    return outcome


def read_record(lines, at, delimiter, encoding, limits):
    """Give the fields, the index of the line behind the record, and the reason it fails for."""
    machine = Machine(delimiter)
    size = 0
    for count, (line, line_end) in enumerate(lines[at:], start=1):
        size += len(line)
        if size > limits.record_bytes:
            if count == 1:
                return None, at + 1, f"a line of more than {limits.record_bytes:,} bytes"
            return None, at + 1, unclosed(f"within {limits.record_bytes:,} bytes")
        try:
            for character in line.decode(encoding, "surrogateescape"):
                machine.read(character)
        except BadQuote:
            where = f"line {at + count:,}"
            return None, at + 1, f"text after a closing quote, in {where}; write a quote twice"
        if machine.end_line(line_end.decode("ascii")):
            return machine.fields, at + count, None
        if count == limits.record_lines:
            return None, at + 1, unclosed(f"within {limits.record_lines:,} lines")
        size += len(line_end)
    return None, at + 1, unclosed("at the end of the file")


def unclosed(where: str) -> str:
    return f"a quote opened here is not closed {where}"


def judge(outcome, names, fields, record, line, encoding, limits) -> None:
    def value(column):
        return fields[names.index(column)] if column in names else None

    def first_column(is_wrong):
        for column in ("sku", "name", "description", "active"):
            if column in names and names.index(column) < len(fields) and is_wrong(value(column)):
                return column
        return ""

    def refuse(column, message):
        raw = shown(record, encoding, limits.raw_characters)
        outcome.errors.append((line, column, message, raw))

    bad = [
        ord(c) - 0xDC00
        for c in record.decode(encoding, "surrogateescape")
        if c >= "\udc80" and c <= "\udcff"
    ]
    if bad:
        outcome.undecodable += 1
        column = first_column(lambda text: any("\udc80" <= c <= "\udcff" for c in text))
        label = {"utf-8": "UTF-8", "cp1252": "Windows-1252"}[encoding]
        # Which of the bytes are shown is left open here; the tests compare what is before them.
        return refuse(column, f"bytes that are not {label}: \\x{bad[0]:02x}")
    if len(fields) != len(names):
        word = "column" if len(fields) == 1 else "columns"
        return refuse("", f"{len(fields)} {word} where the header has {len(names)}")
    if b"\0" in record:
        return refuse(first_column(lambda text: "\0" in text), "a NUL character (\\x00)")
    for column, limit in (("sku", 128), ("name", 255)):
        length = len(value(column).strip())
        if length == 0:
            return refuse(column, f"no {column}")
        if length > limit:
            return refuse(column, f"{length:,} characters, at most {limit:,} are allowed")
    description = value("description")
    if description is not None and len(description) > 10_000:
        allowed = "at most 10,000 are allowed"
        return refuse("description", f"{len(description):,} characters, {allowed}")
    active = None
    if "active" in names:
        word = value("active").strip().lower()
        if word in TRUE:
            active = True
        elif word in FALSE:
            active = False
        elif word != "":
            return refuse("active", "neither yes nor no: write true, false, or nothing")
    row = (line, value("sku").strip(), value("name").strip(), description, active)
    outcome.rows.append(row)
    return None
