"""Whatever shape was learned, a message says what read() says it does."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.sales import messages
from streaming.sales.messages import Refusal, parse, read
from streaming.sales.shapes import LONGEST, MISSES, MOST_FIELDS, SOONER, Shape, learned

# As they stand in JSON, of both sides of what a pattern takes.
CODES = ['"21491"', '"85123A"', '""', '" a_b~"', '"\\u00e9"', '"é"', '"\\""', '"\x7f"', "21491"]
CODES += [f'"{"x" * 128}"', f'"{"x" * 129}"', "null", '"\\ud800"']
WHOLES = ["0", "1", "-1", "-0", "01", "+1", "12", "999999999", "1000000000", "true", '"1"', "NaN"]
DECIMALS = ["1.95", "-11062.06", "0.0", "-0.0", "2.10", "1.", ".5", "1e3", "1.5e0", "0.000001"]
DECIMALS += [
    "0.0000001",
    "999999.999999",
    "1000000.5",
    "999999999999.123456789",
    "1674744306.978004",
]
DECIMALS += ["123456789012.5", "1234567890123.5", "1.1234567891", "Infinity", "1.5 "]
OTHERS = ['"SET OF THREE"', '"a\\nb"', '"é"', "NaN", "null", "true", "-1.5E+3", "1e999", "1" * 18]
OTHERS += ["1" * 19, "[]", "{}", "-Infinity", "00", '"\t"', "tru", ""]
FIELDS: dict[str, list[str]] = {
    "StockCode": CODES,
    "Quantity": WHOLES + DECIMALS,
    "Price": DECIMALS + WHOLES,
    "InvoiceDate": DECIMALS + WHOLES,
}
PLAIN = {"StockCode": '"21491"', "Quantity": "2", "Price": "1.95", "InvoiceDate": "1674744306.978"}
BLANKS = st.sampled_from(["", " ", "\n\t", "\r"])


def text(fields: list[tuple[str, str]], blanks: list[str]) -> bytes:
    a, b, c, d = blanks
    inner = ",".join(f'{a}"{name}"{b}:{c}{value}{d}' for name, value in fields)
    return f"{{{inner}}}{a}".encode()


@pytest.fixture(autouse=True)
def shape(monkeypatch: pytest.MonkeyPatch) -> Shape:
    """A shape that nothing was learned for."""
    fresh = Shape()
    monkeypatch.setattr(messages, "SHAPE", fresh)
    return fresh


def same(value: bytes | None) -> Any:
    found, expected = parse(value), read(value)
    assert repr(found) == repr(expected)
    return found


class TestAnyMessage:
    @given(
        names=st.permutations([*PLAIN, "Customer ID", "Other"]),
        blanks=st.lists(BLANKS, min_size=4, max_size=4),
        data=st.data(),
    )
    def test_it_is_read_the_same_whatever_was_learned(self, names, blanks, data):
        messages.SHAPE = Shape()
        assert not isinstance(
            same(text([(name, PLAIN.get(name, "1.0")) for name in names], blanks)), Refusal
        )
        for _ in range(5):
            values = [
                (name, data.draw(st.sampled_from(FIELDS.get(name, OTHERS)), name)) for name in names
            ]
            same(text(values, blanks))

    @pytest.mark.parametrize("name", [*PLAIN, "Other"])
    @pytest.mark.parametrize("turned", [False, True])
    def test_with_one_field_of_each_kind(self, name, turned):
        fields = {**PLAIN, "Other": "1.0"}
        order = sorted(fields, reverse=turned)
        blanks = ["", "", " ", ""]
        same(text([(each, fields[each]) for each in order], blanks))
        for value in FIELDS.get(name, OTHERS):
            with_it = {**fields, name: value}
            same(text([(each, with_it[each]) for each in order], blanks))

    @given(at=st.integers(0, 200), byte=st.integers(0, 255), kind=st.sampled_from("rid"))
    def test_with_any_byte_changed(self, at, byte, kind):
        messages.SHAPE = Shape()
        fields = [*PLAIN.items(), ("Customer ID", "NaN"), ("Country", '"France"')]
        value = text(fields, ["", "", " ", ""])
        same(value)
        at %= len(value)
        more = bytes([byte]) if kind != "d" else b""
        same(value[:at] + more + value[at + (kind != "i") :])

    @pytest.mark.parametrize("value", [None, b"", b"{}", b"\xff"])
    def test_none_and_nothing(self, value):
        same(text([*PLAIN.items()], ["", "", "", ""]))
        same(value)

    def test_an_amount_beyond_its_bounds_is_refused(self):
        same(text([*PLAIN.items()], ["", "", "", ""]))
        fields = {**PLAIN, "Quantity": "999999999", "Price": "999999.999999"}
        found = same(text([*fields.items()], ["", "", "", ""]))
        assert found.reason == "out_of_range"


class TestLearning:
    def usual(self, **more: Any) -> bytes:
        fields = {"StockCode": "1", "Quantity": 1, "Price": 1.5, "InvoiceDate": 2.5, **more}
        return json.dumps(fields).encode()

    def test_what_follows_is_read_without_json(self, monkeypatch):
        parse(self.usual())
        monkeypatch.setattr(messages, "by_json", None)
        assert parse(self.usual(StockCode="21491 X", Price=-20.25)) == ("21491 X", 2.5, -20_250_000)

    @pytest.mark.parametrize(
        "value",
        [
            b'{"StockCode": "1", "Quantity": 1, "Price": 1.5}',
            b'{"StockCode": "1", "Quantity": 1, "Price": 1.5, "InvoiceDate": 2.5, "Price": 2.5}',
            b'{"StockCode": "1", "Quantity": 1, "Price": 1.5, "InvoiceDate": 2.5} {}',
            b'{"StockCode": "1", "Quantity": 1, "Price": 1.5, "InvoiceDate": 2.5',
            b'{"StockCode": "1"{"Quantity": 1, "Price": 1.5, "InvoiceDate": 2.5}',
            b'{"StockCode": "1", "Quantity": 1, "Price": 1.5, "InvoiceDate": 2.5, "More": []}',
            b',"StockCode": "1", "Quantity": 1, "Price": 1.5, "InvoiceDate": 2.5}',
            b"[]",
            b"",
        ],
    )
    def test_from_what_is_not_plain_nothing_is_learned(self, value):
        assert learned(value) is None

    def test_from_long_messages_nothing_is_learned(self):
        assert learned(self.usual(more="x" * LONGEST)) is None
        assert learned(self.usual(**{f"more {n}": n for n in range(MOST_FIELDS)})) is None

    def test_another_shape_is_learned_when_many_have_it(self, shape):
        parse(self.usual())
        first = shape.known
        for _ in range(MISSES):
            parse(self.usual(more=1))
        assert shape.known is first
        parse(self.usual(more=1))
        assert shape.known is not first

    def test_after_one_that_is_not_plain_others_are_tried(self, shape):
        none = shape.known
        for value in [self.usual(more=[])] * (SOONER + 1) + [self.usual()]:
            assert shape.known is none
            parse(value)
        for _ in range(SOONER):
            parse(self.usual())
        assert shape.known is not none

    def test_from_refused_messages_nothing_is_learned(self, shape):
        none = shape.known
        parse(self.usual(Price="1.5"))
        assert shape.known is none
