"""Rows of prices: what is one, and why anything else is none, against the slow oracle."""

import json

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from kombu.transport.redis import Channel

from config.celery import app
from streaming.prices.rows import Refusal, Row, from_cells, from_message
from tests.streaming.prices import oracle

EXAMPLES = settings(max_examples=600, deadline=None)

DIGITS = st.text("0123456789", min_size=1, max_size=14)
NAMES = st.one_of(
    st.from_regex(r"[a-zA-Z][a-zA-Z0-9._-]{0,70}", fullmatch=True),
    st.from_regex(r"(user|USER|User)[0-9a-z]?[0-9]{0,2}", fullmatch=True),
    st.sampled_from(
        [
            "stock1",
            "Stock1",
            " STOCK1\t",
            "",
            " ",
            "1stock",
            "600519",
            "^GSPC",
            "^",
            ".a",
            "a^",
            "a",
            "user",
            "user1",
        ]
    ),
    st.sampled_from(["default", "Imports", "unacked_index", "consumer.sales", "consumer", "unack"]),
    st.text(max_size=6),
)
TIMES = st.one_of(
    st.from_regex(r"[0-2][0-9][0-5][0-9][0-5][0-9]", fullmatch=True),
    st.text("0123456789", min_size=4, max_size=8),
    # Digits of other scripts, signs, and what int() would take.
    st.sampled_from(
        ["٠٩٠٠٠٦", "０９０００６", "+90006", "09:00", "9_0006", "-90006", "24000", "240000"]
    ),
)
PRICES = st.one_of(
    DIGITS,
    st.builds("{}.{}".format, DIGITS, st.text("0123456789", max_size=8)),
    st.builds("{}{}".format, st.sampled_from(["-", "+", "$", "0x", "--"]), DIGITS),
    st.builds("{}{}".format, DIGITS, st.sampled_from(["e3", "E3", ",5", "_000", ".", "..5", "%"])),
    st.sampled_from(["", " ", "NaN", "Infinity", "-0", "0", "00", "0.0", "１２", "¼", ".5", "5."]),
    st.text(max_size=4).filter(lambda text: text == text.strip()),
)
JSON_NUMBERS = st.one_of(
    st.integers().map(str),
    st.from_regex(r"-?(0|[1-9][0-9]{0,13})(\.[0-9]{1,8})?([eE][+-]?[0-9])?", fullmatch=True),
    st.sampled_from(["NaN", "-Infinity", "1e3", "1E400", "-0.0", "0.000000", "9" * 5000]),
)
OTHERS = st.sampled_from(["null", "true", "false", "[]", "{}", "[1]", '{"price": 1}'])
FIELDS = st.sampled_from(
    ["time", "stock", "price", "Time", "STOCK", "Price", "prıce", "tıme", "id", " time", ""]
)


def _json(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return texts.map(json.dumps)


def _objects() -> st.SearchStrategy[bytes]:
    right = st.fixed_dictionaries(
        {
            "time": st.one_of(_json(TIMES), _json(TIMES), JSON_NUMBERS, OTHERS),
            "stock": st.one_of(_json(NAMES), _json(NAMES), JSON_NUMBERS, OTHERS),
            "price": st.one_of(_json(PRICES), JSON_NUMBERS, JSON_NUMBERS, OTHERS),
        }
    )
    odd = st.dictionaries(FIELDS, st.one_of(_json(TIMES), _json(NAMES), JSON_NUMBERS), max_size=4)
    return st.one_of(right, right, right, odd).map(
        lambda fields: (
            "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in fields.items()) + "}"
        ).encode("utf-8", "surrogatepass")
    )


def _agrees(found: Row | Refusal, expected: oracle.Row | oracle.Refused) -> None:
    if isinstance(expected, oracle.Row):
        assert isinstance(found, Row), (found, expected)
        assert found == Row(*expected)
        if found.price:
            json.loads(found.price)
        event("row")
    else:
        assert isinstance(found, Refusal), (found, expected.args)
        assert found.reason in expected.args
        # It goes into Redis and onto a page.
        assert found.detail and len(found.detail.encode()) < 1000
        event(found.reason)


def _of_message(value: bytes | None) -> oracle.Row | oracle.Refused:
    try:
        return oracle.row_of_message(value)
    except oracle.Refused as refused:
        return refused


@EXAMPLES
@given(TIMES, NAMES, PRICES)
def test_cells_are_what_the_oracle_says(time: str, stock: str, price: str) -> None:
    try:
        expected: oracle.Row | oracle.Refused = oracle.row_of_cells(time, stock, price)
    except oracle.Refused as refused:
        expected = refused
    _agrees(from_cells(time, stock, price), expected)


@EXAMPLES
@given(_objects())
@example(b'{"time": "090006", "stock": "stock1", "price": 123456789012.123456}')
@example(b'{"time": "090006", "stock": "stock1", "price": 12.50, "price": 3}')
def test_messages_are_what_the_oracle_says(value: bytes) -> None:
    _agrees(from_message(value), _of_message(value))


@EXAMPLES
@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(lambda s: s.encode())))
@example(b"[" * 60_000)
@example(b'{"time":' * 7_000)
@example(b"\xef\xbb\xbf" + b'{"time": "090006", "stock": "stock1", "price": 1}')
@example(b'{"time": "090006", "stock": "\\ud800", "price": 1}')
@example(b'{"time": "090006", "stock": "stock1", "price": "\\ud800"}')
@example(b'{"time": "\\ud800", "stock": "stock1", "price": 1}')
@example(b'{"\\ud800": "090006", "stock": "stock1", "price": 1}')
@example(b"9" * 60_000)
def test_no_bytes_at_all_break_it(value: bytes) -> None:
    _agrees(from_message(value), _of_message(value))


@given(TIMES, NAMES, PRICES)
def test_a_row_is_the_same_by_both_ways(time: str, stock: str, price: str) -> None:
    message = json.dumps({"time": time, "stock": stock, "price": price}).encode()
    by_cells, by_message = from_cells(time, stock, price), from_message(message)
    if isinstance(by_cells, Row):
        assert by_message == by_cells
    else:
        assert isinstance(by_message, Refusal) and by_message.reason == by_cells.reason


GOOD = {"time": "090006", "stock": "stock3", "price": 1734}


def _with(**fields: object) -> bytes:
    return json.dumps({**GOOD, **fields}).encode()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b" \r\n\t", "empty"),
        (b" " * 65536 + b"1", "too_large"),
        (b"\xff\xfe{}", "not_utf8"),
        (b'{"time": "\xe9"}', "not_utf8"),
        (b"090006,stock3,1734", "not_json"),
        (b'{"time": "090006", "stock": "stock3", "price": 007}', "not_json"),
        (b'{"time": "090006"', "not_json"),
        (_with() + b"{}", "not_json"),
        (b"null", "not_object"),
        (b"[1]", "not_object"),
        (b'"090006"', "not_object"),
        (_with(volume=3), "unknown_field"),
        (json.dumps({"time": "090006", "stock": "stock3"}).encode(), "missing_field"),
        (b"{}", "missing_field"),
        (_with(stock=3), "bad_stock"),
        (_with(stock=None), "bad_stock"),
        (_with(stock=""), "bad_stock"),
        (_with(stock="stock 3"), "bad_stock"),
        (_with(stock="stöck"), "bad_stock"),
        (_with(stock="stock:3"), "bad_stock"),
        (_with(stock="a" * 65), "bad_stock"),
        (_with(stock=".t"), "bad_stock"),
        (_with(stock="g^spc"), "bad_stock"),
        (_with(stock="User1"), "bad_stock"),
        (_with(stock="user1x"), "bad_stock"),
        (_with(time=90006), "bad_time"),
        (_with(time="90006"), "bad_time"),
        (_with(time="09:00"), "bad_time"),
        (_with(time="096006"), "bad_time"),
        (_with(time="090060"), "bad_time"),
        (_with(time="240000"), "bad_time"),
        (_with(time=None), "bad_time"),
        (_with(price="much"), "bad_price"),
        (_with(price="1e"), "bad_price"),
        (_with(price=1e40), "bad_price"),  # 41 digits in full
        (_with(price="1e-39"), "bad_price"),
        (_with(price="0." + "1" * 39), "bad_price"),
        (_with(price="1e99999999999999999999"), "bad_price"),
        (_with(price=True), "bad_price"),
        (_with(price=[1]), "bad_price"),
        (_with(price=float("nan")), "bad_price"),
        (_with(price=-1), "negative_price"),
        (_with(price="-0.5"), "negative_price"),
        (_with(price=-1.5e-7), "negative_price"),
    ],
)
def test_each_reason(value: bytes | None, reason: str) -> None:
    found = from_message(value)
    assert isinstance(found, Refusal), found
    assert found.reason == reason


@pytest.mark.parametrize(
    ("price", "token"),
    [
        (b"1734", "1734"),
        (b'"1734"', "1734"),
        (b'""', ""),
        (b"null", ""),
        (b'"  "', ""),
        (b"0", "0"),
        (b'"007"', "7"),
        (b'"000"', "0"),
        (b"12.50", "12.5"),
        (b"5.0", "5"),
        (b"0.000001", "0.000001"),
        # More digits than a float has.
        (b"123456789012.123456", "123456789012.123456"),
        (b"12345678901234567.1234567890123456789", "12345678901234567.1234567890123456789"),
        # As producers with floats write them.
        (b"101.10000000000001", "101.10000000000001"),
        (b"1.5e2", "150"),
        (b'"1.50E+2"', "150"),
        (b"1e-05", "0.00001"),
        (b"1e39", "1" + "0" * 39),
        (b"0e5", "0"),
    ],
)
def test_each_kind_of_price(price: bytes, token: str) -> None:
    value = b'{"time": "000000", "stock": "user", "price": %b}' % price
    assert from_message(value) == Row("user", "000000", token)


def test_a_value_of_64_kib_is_read() -> None:
    value = _with()
    assert from_message(value + b" " * (65536 - len(value))) == Row("stock3", "090006", "1734")


def test_what_the_broker_keeps_is_no_stock() -> None:
    queues = [queue.name for queue in app.conf.task_queues]
    assert "default" in queues and "consumer.prices" in queues
    beside = [Channel.unacked_key, Channel.unacked_index_key, Channel.unacked_mutex_key]
    for name in [*queues, *beside]:
        for found in (from_cells("090006", name.upper(), "1"), from_message(_with(stock=name))):
            assert isinstance(found, Refusal), found
            assert (found.reason, name in found.detail) == ("bad_stock", True)
            assert "Celery" in found.detail


NAMES_NEAR = ["a", "A" + "b" * 63, "stock.1_a-b", "users", "user.1", "user-1"]
NAMES_NEAR += ["consumer", "consumers.a", "default.1", "unacked2"]
NAMES_NEAR += ["7203.T", "600519", "^GSPC", "1"]


@pytest.mark.parametrize("name", NAMES_NEAR)
def test_names_near_the_limits(name: str) -> None:
    assert from_cells("235959", f" {name} ", "1") == Row(name.lower(), "235959", "1")
