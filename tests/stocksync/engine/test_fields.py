"""Fields that are missing, wrong or given twice: the first wrong one in order is the reason."""

import json

import pytest

from tests.stocksync.engine.running import codes, created

ENDED = '"type": "ProductEnded", "id": 1, "timestamp": 5'
FIRST = created(1, 5, 1)  # the product that ENDED is about


def written(fields: str) -> bytes:
    return f"{{{fields}}}".encode()


FIELDS = {
    "ProductCreated": {"id": "7", "timestamp": "5", "stock": "1", "parent_id": "null"},
    "ProductUpdated": {"id": "7", "timestamp": "5", "stock": "1"},
    "ProductEnded": {"id": "7", "timestamp": "5"},
}


def line_of(kind: str = "ProductCreated", **fields: str) -> bytes:
    """An event in JSON, with some fields as they are given; "absent" leaves one out."""
    given = {"type": f'"{kind}"', **FIELDS[kind], **fields}
    return written(
        ", ".join(f'"{key}": {value}' for key, value in given.items() if value != "absent")
    )


def huge(digits: int) -> str:
    return "9" * digits


NUMBERS = {
    "true": "wrong_type",
    "false": "wrong_type",
    "10.0": "wrong_type",
    "1.5": "wrong_type",
    "1e2": "wrong_type",
    "-0.0": "wrong_type",
    "1e400": "wrong_type",
    '"10"': "wrong_type",
    '""': "wrong_type",
    "[]": "wrong_type",
    "[1]": "wrong_type",
    "{}": "wrong_type",
    "-1": "negative",
    "-9223372036854775809": "negative",
    "9223372036854775808": "too_large",
    "18446744073709551617": "too_large",
    huge(20): "too_large",
    huge(5000): "too_large",
    "1" + "0" * 60_000: "too_large",
    f"-{huge(5000)}": "negative",
    "absent": "missing_field",
    "NaN": "malformed",
    "Infinity": "malformed",
    "-Infinity": "malformed",
    "007": "malformed",
    "--1": "malformed",
    "1 2": "malformed",
    "٣": "malformed",
    "nul": "malformed",
    "undefined": "malformed",
}


@pytest.mark.parametrize(("value", "code"), NUMBERS.items(), ids=[text[:25] for text in NUMBERS])
def test_wrong_numbers(value, code):
    """In each field of each event, with and without an unknown key beside it."""
    for kind, fields in FIELDS.items():
        for name in fields:
            given = [line_of(kind, **{name: value}), line_of(kind, x="null", **{name: value})]
            assert codes(b"\n".join(given)) == [code, code], (kind, name)


@pytest.mark.parametrize("value", ["+1", "0x10", "1_000", "1.", ".5"])
def test_numbers_of_python_are_no_json(value):
    """A literal may hold them, but null makes it none."""
    assert codes(line_of(id=value)) == ["malformed"]


@pytest.mark.parametrize("kind", FIELDS)
def test_null_is_no_number_and_for_a_parent_alone(kind):
    for name in FIELDS[kind]:
        line = line_of(kind, **{name: "null"})
        assert codes(line) == ([] if name == "parent_id" else ["wrong_type"]), name


LITERAL_NUMBERS = {
    "True": "wrong_type",
    "None": "wrong_type",
    "1.0": "wrong_type",
    "1e2": "wrong_type",
    "'1'": "wrong_type",
    "-1": "negative",
    huge(20): "too_large",
    huge(5000): "too_large",
    f"-{huge(5000)}": "negative",
    "null": "malformed",
    "true": "malformed",
    "nan": "malformed",
    "NaN": "malformed",
    "inf": "malformed",
    "007": "malformed",
    "--1": "malformed",
    "1+1": "malformed",
    "[1]": "malformed",
    "(1)": "malformed",
    "(1,)": "malformed",
    "{}": "malformed",
    "b'1'": "malformed",
    "f'1'": "malformed",
    "int(1)": "malformed",
    "Nonee": "malformed",
    "...": "malformed",
    "": "malformed",
}


@pytest.mark.parametrize(
    ("value", "code"), LITERAL_NUMBERS.items(), ids=[text[:25] for text in LITERAL_NUMBERS]
)
def test_wrong_numbers_in_literals(value, code):
    line = f"{{'type': 'ProductEnded', 'id': {value}, 'timestamp': 5}}"
    assert codes(line.encode()) == [code]


TYPES = {
    '"IncorrectEventType"': "unknown_type",
    '"productended"': "unknown_type",
    '"ProductEnded "': "unknown_type",
    '""': "unknown_type",
    r'"\ud800"': "unknown_type",
    r'"ProductEnded\u0000"': "unknown_type",
    '"UpdateProduct"': "unknown_type",
    "1": "wrong_type",
    "null": "wrong_type",
    "true": "wrong_type",
    '["ProductEnded"]': "wrong_type",
    '{"ProductEnded": 1}': "wrong_type",
    huge(5000): "wrong_type",
    "absent": "missing_field",
}


@pytest.mark.parametrize(("value", "code"), TYPES.items(), ids=[text[:25] for text in TYPES])
def test_wrong_types(value, code):
    assert codes(line_of(type=value)) == [code]


ORDER = {
    "type before id": ({"type": "1", "id": "absent"}, "wrong_type"),
    "id before timestamp": ({"id": "-1", "timestamp": "absent"}, "negative"),
    "timestamp before stock": ({"timestamp": "absent", "stock": "1.5"}, "missing_field"),
    "stock before parent_id": ({"stock": huge(20), "parent_id": "absent"}, "too_large"),
}


@pytest.mark.parametrize(("fields", "code"), ORDER.values(), ids=ORDER.keys())
def test_the_first_wrong_field_is_the_reason(fields, code):
    assert codes(line_of(**fields)) == [code]


@pytest.mark.parametrize("missing", ["stock", "id", "timestamp"])
def test_an_update_needs_its_fields(missing):
    fields = {"type": "ProductUpdated", "id": 1, "timestamp": 1, "stock": 1}
    del fields[missing]
    assert codes(json.dumps(fields).encode()) == ["missing_field"]


REPEATED = {
    "an id": written(ENDED + ', "id": 1'),
    "a type": written('"type": "ProductEnded", ' + ENDED),
    "a wrong type first": written('"type": "x", ' + ENDED),
    "a wrong type last": written(ENDED + ', "type": 1'),
    "an escaped key": written(ENDED + r', "\u0069d": 1'),
    "two escaped keys": written(ENDED + r', "\u0078": 1, "\u0078": 1'),
    "an unknown key": written(ENDED + ', "x": 1, "x": 1'),
    "an empty key": written(ENDED + ', "": 1, "": 1'),
    "a key of a literal": b"{'type': 'ProductEnded', 'id': 1, 'timestamp': 5, \"id\": 1}",
    "an escaped key of a literal": rb"{'type': 'ProductEnded', 'id': 1, 'timestamp': 5, '\x69d':1}",
    "a key among thousands": written(
        ENDED + "".join(f', "{number:x}": 1' for number in range(4000)) + ', "f9f": 1'
    ),
}


@pytest.mark.parametrize("line", REPEATED.values(), ids=REPEATED.keys())
def test_a_key_given_twice_is_refused(line):
    assert codes(FIRST + line) == ["duplicate_key"]
