"""Users' values: all digits stay, and what is no user's value is said to be none."""

import json
from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.trading_users import USER
from transactions.orders import credit
from transactions.orders.credit import Unreadable

SAMPLE = '{"id": 1, "credit": 150000000}'
LARGE = 2**53 + 1
NUMBERS = st.decimals(min_value=0, allow_nan=False, allow_infinity=False, places=9)


def test_it_reads_the_sample_and_writes_it_back_as_it_was():
    purse = credit.parse(SAMPLE)
    assert purse.credit == 150_000_000
    assert purse.with_credit(Decimal(150_000_000)) == SAMPLE
    assert purse.with_credit(Decimal(0)) == '{"id": 1, "credit": 0}'


@pytest.mark.parametrize(
    "written",
    [
        str(LARGE),
        str(10**99 + 1),
        "0.1",
        "1782.123456789012345678",
        "90071992547409930000000000.000000000000000001",
        "0",
    ],
)
def test_a_credit_keeps_all_its_digits(written):
    purse = credit.parse(f'{{"credit": {written}}}')
    assert purse.credit == Decimal(written)
    assert purse.with_credit(purse.credit) == f'{{"credit": {written}}}'


@pytest.mark.parametrize(
    ("written", "meant"), [("1e3", "1000"), ("1.50E+2", "150"), ("5.0", "5"), ("-0", "0")]
)
def test_other_ways_to_write_a_number_are_the_same_credit(written, meant):
    purse = credit.parse(f'{{"credit": {written}}}')
    assert purse.with_credit(purse.credit) == f'{{"credit": {meant}}}'


def test_all_other_fields_stay_as_they_were():
    value = (
        f'{{"name": "J\\u00e9r\\u00f4me \\"x\\"", "big": {LARGE}, "small": 0.10, "far": 1E+400,'
        ' "list": [1.0, {"credit": 7}, [], null, true], "credit": 10, "none": {}}'
    )
    assert credit.parse(value).with_credit(Decimal(9)) == value.replace(
        '"credit": 10', '"credit": 9'
    )


@pytest.mark.parametrize(
    "value",
    [
        '{"credit":10,"id":1}',
        '\n{ "id" : 1 ,\t"credit" : 10 }\n',
        b'\xef\xbb\xbf{"id": 1, "credit": 10}',
        '{"credit": 3, "id": 1, "credit": 10}',
        SAMPLE.replace("150000000", "10").encode("utf-16"),
    ],
)
def test_foreign_layouts_are_read(value):
    purse = credit.parse(value)
    assert purse.credit == 10
    assert json.loads(purse.with_credit(Decimal("2.5"))) == {"id": 1, "credit": 2.5}


@pytest.mark.parametrize(
    "value",
    [
        "",
        "150",
        "null",
        "[]",
        '"credit"',
        "{}",
        '{"id": 1}',
        '{"Credit": 5}',
        '{"credit": "150"}',
        '{"credit": null}',
        '{"credit": true}',
        '{"credit": [1]}',
        '{"credit": NaN}',
        '{"credit": Infinity}',
        '{"credit": 5',
        '{"credit": 05}',
        '{"credit": 5} {"credit": 6}',
        '{"credit": -1}',
        '{"credit": -0.0001}',
        '{"credit": 1e100}',
        '{"credit": 1e-101}',
        '{"credit": 1e9999999999999999999}',
        '{"credit": 1e-9999999999999999999}',
        '{"credit": 0e9999999999999999999}',
        '{"credit": ' + "9" * 101 + "}",
        '{"credit": 5, "x": ' + "[" * 100_000 + "]" * 100_000 + "}",
        b"\xff\xfe",
        b"\x80abc",
        b"\x00" * 20,
    ],
)
def test_what_is_no_users_value_is_unreadable(value):
    with pytest.raises(Unreadable) as refusal:
        credit.parse(value)
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize("depth", [10, 300, 900, 990, 2_000])
def test_what_is_read_can_be_written_however_deep(depth):
    value = '{"credit": 5, "x": ' + '{"x": ' * depth + "1" + "}" * depth + "}"
    with suppress(Unreadable):
        assert credit.parse(value).with_credit(Decimal(5)) == value
        return
    assert depth > 100


@given(NUMBERS, NUMBERS)
def test_what_is_written_is_read_as_the_same(first, second):
    purse = credit.parse(credit.parse('{"a": 1.10, "credit": 0}').with_credit(first))
    assert purse.credit == first
    assert credit.parse(purse.with_credit(second)).credit == second
    assert purse.fields["a"] == "1.10"


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_no_value_is_more_than_unreadable(value):
    with suppress(Unreadable):
        credit.parse(value)


@pytest.mark.parametrize("written", ["1734", "0", "0.000001", "1e2", str(LARGE), "1" + "0" * 99])
def test_prices_keep_their_digits(written):
    assert credit.number(written) == Decimal(written)


@pytest.mark.parametrize(
    "written",
    ["-1", "1e100", "1e-101", "NaN", "Infinity", "sNaN", "", "x", "1e9999999999999999999"],
)
def test_what_is_no_price_is_unreadable(written):
    with pytest.raises(Unreadable):
        credit.number(written)


@pytest.mark.parametrize("name", ["user1", "user12", "user1.a_b-c", "user0" + "a" * 59])
def test_names_of_users(name):
    assert USER.fullmatch(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "user",
        "User1",
        "usera",
        "user1 ",
        "user1\n",
        "user1:x",
        "user\u0661",
        "user0" + "a" * 60,
    ],
)
def test_names_of_nobody(name):
    assert USER.fullmatch(name) is None
