"""transactions.ledger.engine.messages: what a message of the queue says."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.transactions.ledger.stage import body
from transactions.ledger.engine import messages
from transactions.ledger.engine.messages import Refusal, Transaction

REASONS = {
    "too_large",
    "not_utf8",
    "not_json",
    "not_object",
    "duplicate_key",
    "missing_field",
    "bad_id",
    "bad_value",
}
KIB = 1024

WRITTEN = st.from_regex(
    r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?", fullmatch=True
)


def test_it_reads_the_message_of_the_specification() -> None:
    assert messages.read(b'{\n"id": 1,\n"value": 600\n}') == Transaction(1, Decimal(600))


@given(st.integers(-(10**17), 10**17), WRITTEN, st.booleans(), st.booleans())
@example(1, "0.1", False, False)
@example(1, "1e3", False, True)
@example(1, "123456789012345678901234567890.123456789", False, False)
@example(1, "-0", False, False)
def test_numbers_are_exact_as_numbers_and_as_text(
    provider: int, value: str, id_as_text: bool, value_as_text: bool
) -> None:
    id_ = f'"{provider}"' if id_as_text else str(provider)
    value_ = f'"{value}"' if value_as_text else value

    found = messages.read(f'{{"id": {id_}, "value": {value_}}}'.encode())

    assert found == Transaction(provider, Decimal(value))
    assert isinstance(found, Transaction)
    assert found.value.as_tuple() == Decimal(value).as_tuple()


@pytest.mark.parametrize(
    ("given_", "reason"),
    [
        (b"", "not_json"),
        (b"no json", "not_json"),
        (b"{'id': 1, 'value': 600}", "not_json"),
        (b'{"id": 1, "value": 600', "not_json"),
        (b'{"id": 1, "value": 600} {"id": 1, "value": 600}', "not_json"),
        (b'{"id": 1, "value": 0600}', "not_json"),
        (b"[" * 30_000, "not_json"),
        (b"\xff\xfe", "not_utf8"),
        ('{"id": 1, "value": 600}'.encode("utf-16"), "not_utf8"),
        (b'{"id": 1, "value": 600, "note": "caf\xe9"}', "not_utf8"),
        (b"null", "not_object"),
        (b"[1, 600]", "not_object"),
        (b'"text"', "not_object"),
        (b"NaN", "not_object"),
        (b"600", "not_object"),
        (b'{"id": 1, "value": 100, "value": 900}', "duplicate_key"),
        (b'{"id": 1, "id": 1, "value": 100}', "duplicate_key"),
        (b'{"id": 1, "value": 100, "valu\\u0065": 100}', "duplicate_key"),
        (b'{"id": 1, "value": 100, "\\ud800\\u0000": 1, "\\ud800\\u0000": 1}', "duplicate_key"),
        (b"{}", "missing_field"),
        (b'{"id": 1}', "missing_field"),
        (b'{"value": 1}', "missing_field"),
        (b'{"ID": 1, "Value": 1}', "missing_field"),
        (body(None), "bad_id"),
        (body(True), "bad_id"),
        (body(1.5), "bad_id"),
        (b'{"id": 1.00000000000000000001, "value": 1}', "bad_id"),
        (b'{"id": 1e0, "value": 1}', "bad_id"),
        (body("1."), "bad_id"),
        (body(".0"), "bad_id"),
        (body("one"), "bad_id"),
        (body(""), "bad_id"),
        (body("1 2"), "bad_id"),
        (body("\u0661"), "bad_id"),
        (body([1]), "bad_id"),
        (body({}), "bad_id"),
        (body("1\x00"), "bad_id"),
        (body("\ud800"), "bad_id"),
        (body(10**30), "bad_id"),
        (body(1, None), "bad_value"),
        (body(1, True), "bad_value"),
        (body(1, ""), "bad_value"),
        (body(1, "much"), "bad_value"),
        (body(1, "1,5"), "bad_value"),
        (body(1, ".5"), "bad_value"),
        (body(1, "5."), "bad_value"),
        (body(1, "+5"), "bad_value"),
        (body(1, "1_000"), "bad_value"),
        (body(1, "0x10"), "bad_value"),
        (body(1, "\u0661"), "bad_value"),
        (body(1, "NaN"), "bad_value"),
        (body(1, float("nan")), "bad_value"),
        (body(1, float("inf")), "bad_value"),
        (body(1, float("-inf")), "bad_value"),
        (body(1, "Infinity"), "bad_value"),
        (body(1, "sNaN"), "bad_value"),
        (body(1, [600]), "bad_value"),
        (b'{"id": 1, "value": 1e999999999}', "bad_value"),
        (b'{"id": 1, "value": 1e-999999999}', "bad_value"),
        (b'{"id": 1, "value": %s}' % (b"9" * 101), "bad_value"),
        (b'{"id": 1, "value": 0.%s}' % (b"9" * 101), "bad_value"),
        (b'{"id": 1, "value": %s}' % (b"9" * 60_000), "bad_value"),
        (body(note="x" * 64 * KIB), "too_large"),
        (b"\xff" * (64 * KIB + 1), "too_large"),
    ],
)
def test_it_says_why_it_refuses(given_: bytes, reason: str) -> None:
    found = messages.read(given_)

    assert isinstance(found, Refusal)
    assert found.reason == reason
    assert 0 < len(found.detail) < 500
    # Postgres keeps neither.
    assert "\x00" not in found.detail
    found.detail.encode()


@pytest.mark.parametrize(
    ("given_", "found"),
    [
        (body(1, 600, at="2026-11-22", extra={"a": [1]}), (1, "600")),
        (b' \n{"value":-1.50,"id":"2"}\t', (2, "-1.50")),
        (body(" 7 ", " 0.10 "), (7, "0.10")),
        (body(1.0), (1, "600")),
        (body(" -7.00 "), (-7, "600")),
        (b'{"id": 123456789012345678.0, "value": 600}', (123456789012345678, "600")),
        (b'{"id": 1, "value": 600, "more": {"id": 2, "id": 3}}', (1, "600")),
        (b'{"id": 1, "value": %s.%s}' % (b"9" * 100, b"1" * 100), (1, "9" * 100 + "." + "1" * 100)),
        (b'{"id": 1, "value": 600, "note": "\\ud800"}', (1, "600")),
        ('{"id": 1, "value": 600, "note": "\N{SNOWMAN}"}'.encode(), (1, "600")),
        (body(note="x" * (64 * KIB - len(body(note="")))), (1, "600")),
    ],
)
def test_it_takes_what_is_well_formed(given_: bytes, found: tuple[int, str]) -> None:
    assert messages.read(given_) == Transaction(found[0], Decimal(found[1]))


def test_it_says_which_key_is_given_twice() -> None:
    found = messages.read(b'{"id": 1, "value": 100, "value": 900}')

    assert found == Refusal("duplicate_key", "'value' is given twice")


@pytest.mark.parametrize(("begin", "end"), [("[", "]"), ('{"id":', "}")])
def test_it_says_something_however_deep_its_fields_are(begin: str, end: str) -> None:
    """What can just be read may be too deep to be shown."""
    for depth in range(1, 1_100):
        given_ = f'{{"id": {depth * begin}1{depth * end}, "value": 1}}'.encode()
        found = messages.read(given_)
        assert isinstance(found, Refusal)
        assert found.reason in ("bad_id", "not_json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.fixed_dictionaries({}, optional={"id": JSON, "value": JSON, "more": JSON})


@given(st.binary() | st.text().map(str.encode) | OBJECTS.map(lambda o: json.dumps(o).encode()))
def test_it_says_something_of_whatever_comes(given_: bytes) -> None:
    found = messages.read(given_)

    if isinstance(found, Refusal):
        assert found.reason in REASONS
        found.detail.encode()
        assert "\x00" not in found.detail
    else:
        said = json.loads(given_, parse_float=Decimal, parse_int=Decimal)
        assert type(found.provider) is int
        assert found.value.is_finite()
        assert found.provider == _number(said["id"])
        assert found.value == _number(said["value"])


def _number(said: Any) -> Decimal:
    assert isinstance(said, str | Decimal)
    return Decimal(said)
