import json
import math
import re
from decimal import Context, Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streaming.sales.amounts import LEAST, MOST, amount_text, units_of
from streaming.sales.messages import (
    LONGEST_STOCK_CODE,
    MOST_NESTED,
    Refusal,
    parse,
    read,
)
from tests.streaming.sales.records import message

NUMBERS = st.one_of(
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.decimals(-(10**10), 10**10, places=6).map(float),
    st.sampled_from([0.0, -0.0, 1e9, 9007199254.740991, 8589934592.000001, 1e22, 5e-324]),
)
# Wide enough for the product of any two doubles.
WIDE = Context(prec=2_000)
LONGEST_DETAIL = 500  # characters, so that it fits into a header


def reason(value: bytes | None) -> str:
    found = parse(value)
    assert isinstance(found, Refusal), found
    return found.reason


def nested(levels: int) -> bytes:
    """A sale with a field beside it that makes it so many levels deep, itself included."""
    deep = "[" * (levels - 1) + "]" * (levels - 1)
    return message()[:-1] + f', "more": {deep}}}'.encode()


class TestASale:
    def test_it_is_read_from_the_specs_message(self):
        value = (
            b'{ "Invoice":"489574", "StockCode":"21491",\n'
            b'  "Description":"SET OF THREE VINTAGE GIFT WRAPS",\n'
            b'  "Quantity":2, "Price":1.95, "Customer ID":13097.0,\n'
            b'  "Country":"United Kingdom",\n'
            b'  "InvoiceDate":1674744306.978004 }'
        )
        assert parse(value) == ("21491", 1674744306.978004, 3_900_000)

    @pytest.mark.parametrize(
        ("code", "read_as"),
        [
            ("85123A", "85123A"),
            ("85123a", "85123a"),  # case counts
            (" 21491 ", " 21491 "),  # blanks too
            ("gift_0001_80", "gift_0001_80"),
            ("Ünïcode €", "Ünïcode €"),
            ('"\\', '"\\'),
            (21491, "21491"),  # pandas, where a block of the file holds none but digits
            (-7, "-7"),
            ("x" * LONGEST_STOCK_CODE, "x" * LONGEST_STOCK_CODE),
            ("🧦" * LONGEST_STOCK_CODE, "🧦" * LONGEST_STOCK_CODE),  # characters, not bytes
            ("\u00a0", "\u00a0"),  # the first one after C1
        ],
    )
    def test_stock_codes(self, code, read_as):
        assert parse(message(code)) == (read_as, 0.0, 1_000_000)

    @pytest.mark.parametrize(
        ("price", "quantity", "units"),
        [
            (1.95, 2, 3_900_000),
            (1.95, -2, -3_900_000),  # a return
            (-11062.06, 1, -11_062_060_000),  # an adjustment of the shop's own file
            (0.0, 5, 0),
            (-0.0, 5, 0),
            (2, 3, 6_000_000),  # integers are numbers too
            (2.5, 0.4, 1_000_000),  # exact: the doubles' product would be 1.0 by luck
            (0.1, 3, 300_000),  # the doubles' product is 0.30000000000000004
            (0.000001, 1, 1),
            (1e-7, 10, 1),  # only the product must have six decimals
            (1e-300, 1e300, 1_000_000),
            (5e-324, 0, 0),
            (9223372036854.775807, 1, 9_223_372_036_854_775_000),  # what repr() writes
            (1, 9223372036854, 9_223_372_036_854_000_000),
            (0.000001, MOST, MOST),
            (0.000001, LEAST, LEAST),
        ],
    )
    def test_amounts_are_exact(self, price, quantity, units):
        assert parse(message(price=price, quantity=quantity)) == ("1", 0.0, units)

    @pytest.mark.parametrize(
        "at", [0, -5, 1674744306, 1674744306.978004, -0.0, 1e16, 2**53 + 1, 5e-324, 10**308]
    )
    def test_the_time_stays_as_it_is_given(self, at):
        found = parse(message(at=at))
        assert not isinstance(found, Refusal)
        assert repr(found[1]) == repr(at)

    @pytest.mark.parametrize("unused", ["NaN", "-Infinity", "null", '"\\ud800"', "[[{}]]", "1e999"])
    def test_other_fields_are_not_looked_at(self, unused):
        value = message()[:-1] + f', "other": {unused}}}'.encode()
        assert parse(value) == ("1", 0.0, 1_000_000)

    @pytest.mark.parametrize(("before", "after"), [("", "\n"), ("\r\n\t ", " "), (" ", "")])
    def test_blanks_around_it_do_not_matter(self, before, after):
        value = before.encode() + message() + after.encode()
        assert parse(value) == ("1", 0.0, 1_000_000)

    def test_of_a_field_given_twice_the_last_counts(self):
        assert parse(message()[:-1] + b', "Quantity": 7}') == ("1", 0.0, 7_000_000)

    def test_it_may_be_nested_as_deep_as_the_limit(self):
        assert parse(nested(MOST_NESTED)) == ("1", 0.0, 1_000_000)

    def test_brackets_in_a_text_nest_nothing(self):
        text = json.dumps('"\\' + "[{" * MOST_NESTED)
        value = message()[:-1] + f', "Description": {text}}}'.encode()
        assert parse(value) == ("1", 0.0, 1_000_000)


class TestRefusals:
    @pytest.mark.parametrize(
        ("value", "code"),
        [
            (None, "empty"),
            (b"", "empty"),
            (b"\xff", "not_utf8"),
            (message().replace(b"1", b"\xe9"), "not_utf8"),  # latin-1
            ('{"StockCode": "1"}'.encode("utf-16"), "not_utf8"),
            (b" ", "not_json"),
            (b"StockCode", "not_json"),
            (b"\xef\xbb\xbf" + message(), "not_json"),  # a byte order mark
            (message()[:-1], "not_json"),
            (message() + b"}", "not_json"),
            (message() + message(), "not_json"),
            (message() + b"\xc2\xa0", "not_json"),  # no blank of JSON's
            (b"\x00", "not_json"),
            (nested(MOST_NESTED + 1), "not_json"),
            (b"[" * 1_000_000, "not_json"),
            (b'{"a":' * 100_000, "not_json"),
            # Cut off within a text of a text: hours, if each escape were tried as its end.
            (b"[" * 201 + b'"' + b'\\"' * 500_000, "not_json"),
            (json.dumps("[" * 201 + json.dumps(["x"] * 100_000)).encode()[:-3], "not_json"),
            (b'["' + b"[" * 201 + b"\\", "not_json"),
            (message(quantity=12345).replace(b"12345", b"1" * 5_000), "not_json"),
            (message()[:-1] + b', "other": ' + b"1" * 5_000 + b"}", "not_json"),
            (b"[]", "not_an_object"),
            (b"null", "not_an_object"),
            (b"NaN", "not_an_object"),
            (b'"StockCode Quantity Price InvoiceDate"', "not_an_object"),
            (b"{}", "missing_field"),
            (message().replace(b"StockCode", b"stockcode"), "missing_field"),
            (message().replace(b"Quantity", b"Qty"), "missing_field"),
            (message().replace(b"Price", b""), "missing_field"),
            (message().replace(b"InvoiceDate", b"Invoice"), "missing_field"),
            (message("1\n", math.nan, math.inf), "bad_stock_code"),  # the first that applies
        ],
    )
    def test_what_is_no_message(self, value, code):
        assert reason(value) == code

    @pytest.mark.parametrize(
        "code",
        [
            "",
            "x" * (LONGEST_STOCK_CODE + 1),
            10**LONGEST_STOCK_CODE,
            "a\x00",
            "\x1f",
            "\x7f",
            "\x80",
            "\x9f",
            "\ud800",
            "a\udfff",
            21491.0,
            True,
            None,
            math.nan,
            ["21491"],
            {"21491": 1},
        ],
    )
    def test_bad_stock_codes(self, code):
        assert reason(message(code)) == "bad_stock_code"

    @pytest.mark.parametrize("field", ["at", "price", "quantity"])
    @pytest.mark.parametrize(
        "value", [True, False, None, "1", "", math.nan, math.inf, -math.inf, [], [1], {}]
    )
    def test_what_is_no_number(self, field, value):
        assert reason(message(**{field: value})) == "not_a_number"

    def test_a_double_too_great_to_be_one_is_no_number(self):
        assert reason(message(price=5).replace(b"5", b"1e999")) == "not_a_number"

    @pytest.mark.parametrize(
        ("price", "quantity"),
        [(0.0000001, 1), (1.2345678, 1), (5e-324, 1), (0.5, 1e-6), (0.1 + 0.2, 1)],
    )
    def test_more_than_six_decimals(self, price, quantity):
        assert reason(message(price=price, quantity=quantity)) == "too_precise"

    @pytest.mark.parametrize(
        ("price", "quantity"),
        [
            (0.000001, MOST + 1),
            (0.000001, LEAST - 1),
            (1e13, 1),
            (1.0, 10**13),
            (-1.0, 10**13),
            (1e308, 1e308),
            (1, 10**4000),
            (10**4000, 10**4000),
        ],
    )
    def test_amounts_beyond_int64(self, price, quantity):
        assert reason(message(price=price, quantity=quantity)) == "out_of_range"

    @pytest.mark.parametrize("at", [10**309, -(10**309), 10**4000])
    def test_a_time_that_no_double_holds(self, at):
        assert reason(message(at=at)) == "out_of_range"

    @pytest.mark.parametrize(
        ("value", "detail"),
        [
            (message(price="9.99 €"), 'Price is "9.99 \\u20ac", not a number.'),
            (message(at=None), "InvoiceDate is null, not a number."),
            (message(quantity={}), "Quantity is an object, not a number."),
            (message("a\nb"), 'StockCode "a\\nb" has the character U+000A at place 2.'),
            (message("x" * 129), "StockCode has 129 characters; 1 to 128 are allowed."),
            (
                message(price=1e13, quantity=2),
                "Quantity 2 × Price 10000000000000.0 is outside ±9223372036854.",
            ),
            (b'{"Quantity": 1, "Price": 1.0}', "Without StockCode, InvoiceDate."),
            (b"[1]", "The value is a list, not a JSON object."),
            (b"a\xffb", "Byte 2 of 3 is not UTF-8: invalid start byte."),
            (b'{"a": }', "Expecting value: character 7 of 7."),
        ],
    )
    def test_the_detail_has_the_figures(self, value, detail):
        found = parse(value)
        assert isinstance(found, Refusal)
        assert found.detail == detail

    @pytest.mark.parametrize("field", ["code", "at", "price", "quantity"])
    @pytest.mark.parametrize(
        "value", ["\ud800" * 10_000, "€" * 10_000, 10**4299, [[1] * 10_000], 1e308]
    )
    def test_the_detail_fits_into_a_header_whatever_was_given(self, field, value):
        found = parse(message(**{field: value}))
        if isinstance(found, Refusal):
            assert len(found.detail) <= LONGEST_DETAIL
            assert found.detail.encode()


class TestTheShortWay:
    """parse() reads usual messages without read(); nothing may depend on which way was taken."""

    @given(
        st.one_of(st.text(max_size=5), st.integers(), st.sampled_from(["21491", None, 1.0])),
        st.one_of(NUMBERS, st.none(), st.booleans()),
        st.one_of(NUMBERS, st.none(), st.booleans()),
        st.one_of(NUMBERS, st.none(), st.booleans()),
        st.sampled_from(["", " ", "\n", "x", "}"]),
    )
    @example("1", 9007199254.740991, 1, 0.0, "")
    @example("1", 999999999.999999, 1, 0.0, "")
    @example("1", 1e9, 1, 0.0, "")
    @example("1", 999999999.9999995, 1, 0.0, "")
    def test_it_ends_where_the_long_way_does(self, code, price, quantity, at, after):
        value = message(code, at, price, quantity) + after.encode()
        short, long = parse(value), read(value)
        assert short == long
        assert repr(short) == repr(long)

    @given(st.binary(max_size=40))
    def test_no_bytes_raise(self, value):
        assert parse(value) == read(value)

    @given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists))
    def test_no_json_raises(self, value):
        assert reason(json.dumps(value).encode()) == "not_an_object"


class TestAmounts:
    @given(
        NUMBERS.filter(math.isfinite),
        NUMBERS.filter(math.isfinite),
    )
    def test_they_are_what_wide_decimals_make_of_them(self, quantity, price):
        product = WIDE.multiply(Decimal(repr(quantity)), Decimal(repr(price)))
        units = WIDE.scaleb(product, 6)
        whole = units == WIDE.to_integral_value(units)
        assert units_of(quantity, price) == (int(units) if whole else None)

    @pytest.mark.parametrize(
        ("units", "text"),
        [
            (0, "0.0"),
            (1, "0.000001"),
            (-1, "-0.000001"),
            (99, "0.000099"),
            (100, "0.0001"),
            (-100, "-0.0001"),
            (10, "0.00001"),
            (20_000_000, "20.0"),
            (-5_250_000, "-5.25"),
            (312_312_312_750_000, "312312312.75"),
            (10**15 - 1, "999999999.999999"),
            (10**15, "1000000000.0"),
            (10**15 + 1, "1000000000.000001"),
            (MOST, "9223372036854.775807"),
            (LEAST, "-9223372036854.775808"),
            (10**30 + 1, f"1{'0' * 24}.000001"),
        ],
    )
    def test_their_text(self, units, text):
        assert amount_text(units) == text

    @given(st.one_of(st.integers(), st.integers(-(10**16), 10**16), st.integers(-200, 200)))
    def test_their_text_is_the_plain_decimal(self, units):
        text = amount_text(units)
        assert Decimal(text) == Decimal(units).scaleb(-6, WIDE)
        assert re.fullmatch(r"-?(0|[1-9][0-9]*)\.([0-9]{0,5}[1-9]|0)", text)
        assert units != 0 or text == "0.0"
