"""Histories of one partition: generated ones that shrink, long ones from a seed, and oddities."""

import json
import random
from collections.abc import Iterator
from itertools import accumulate

from hypothesis import strategies as st

from tests.streaming.sales.oracle import Record

T0 = 1_674_744_306.978004

# Numbers as they may stand in a message; what isn't a number too.
ODD_NUMBERS = [
    *("0", "-0", "-0.0", "1", "-1", "1.0", "1e0", "0.1", "0.2", "2.675", "1e-6", "1e-7", "5E-7"),
    *("0.30000000000000004", "1e22", "1e16", "123456789012345678901234567890", "1e-400", "1e400"),
    *("-1e400", "9223372036854775807", "9223372036854.775807", "-9223372036854.775808"),
    *("4503599627370496.5", "1.7976931348623157e308", "5e-324", "9007199254740993", "1e300"),
    *("NaN", "Infinity", "-Infinity", "true", "false", "null", '"1"', "[1]", "{}", "9" * 5000),
    *("9" * 4300, "1" + "0" * 400),
]
PLAIN_NUMBERS = ["1", "2", "3", "-4", "0.1", "0.2", "10.5", "2.95", "-7.25", "6.000001", "12"]
STOCK_CODES = [
    '"21491"',
    "21491",
    '"85123A"',
    '"85123a"',
    '" 85123A"',
    '"é漢\U0001f600"',
    '"\\u00e9"',
]
ODD_CODES = [
    *('""', "null", "true", "1.0", "-5", "0", "1e3", "[]", '"a\\u0000"', '"a\\nb"', '"\\u007f"'),
    *('"\\u009f"', '"\\u00a0"', '"\\ud800"', '"\\ud83d\\ude00"', '"\\udc00\\ud800"', '"\\u2028"'),
    *(
        f'"{"x" * 128}"',
        f'"{"x" * 129}"',
        f'"{"😀" * 128}"',
        f'"{"😀" * 129}"',
        "9" * 128,
        "9" * 129,
    ),
    *('"\\"\\\\/"', '"<&>"'),
]

GARBAGE: list[bytes | None] = [
    *(None, b"", b" ", b"x", b"{", b"}", b"{}", b"[]", b"null", b"1", b'"text"', b"[{}]", b"NaN"),
    *(b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\x00", b"{}\x00", b"{} {}", b"{'a': 1}", b"{,}"),
    *(b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000, b"9" * 5000),
    b'{"StockCode": "1", "Quantity": 1, "Price": 1, "InvoiceDate": 1',
    b'{"StockCode": "1\n", "Quantity": 1, "Price": 1, "InvoiceDate": 1}',
    b'{"StockCode": "\xed\xa0\x80", "Quantity": 1, "Price": 1, "InvoiceDate": 1}',
    b'{"stockcode": "1", "quantity": 1, "price": 1, "invoicedate": 1}',
    b'{"StockCode": "1", "Quantity": 01, "Price": 1, "InvoiceDate": 1}',
    b'{"StockCode": "1", "Quantity": +1, "Price": 1, "InvoiceDate": 1}',
    b'{"StockCode": "1", "Quantity": 1., "Price": 1, "InvoiceDate": 1}',
    b'{"StockCode": "1", "Quantity": .5, "Price": 1, "InvoiceDate": 1}',
    b'{"StockCode": "1", "Quantity": 1_0, "Price": 1, "InvoiceDate": 1}',
    b'{"StockCode": "1", "Quantity": 0x1, "Price": 1, "InvoiceDate": 1}',
    b'{"StockCode": "1", "Quantity": nan, "Price": 1, "InvoiceDate": 1}',
    '{"StockCode": "1", "Quantity": ١, "Price": 1, "InvoiceDate": 1}'.encode(),
]


def message(
    stock_code: str = '"21491"', quantity: str = "1", price: str = "1", time: str = "0"
) -> bytes:
    """A value of JSON texts, with fields nobody looks at around them."""
    return (
        f'{{"Invoice": "489434", "StockCode": {stock_code}, "Description": NaN, '
        f'"Quantity": {quantity}, "Price": {price}, "Customer ID": NaN, '
        f'"InvoiceDate": {time}, "Country": "United Kingdom"}}'
    ).encode()


def wrapped(value: bytes) -> list[bytes]:
    """The same message in ways that are as good, and in ways that are not."""
    text = value.decode()
    return [
        b"\xef\xbb\xbf" + value,
        text.encode("utf-16"),
        text.encode("utf-16-le"),
        text.encode("utf-32"),
        text.encode("latin-1", "replace") + b"\xe9",
        b" \r\n\t" + value + b"\n ",
        value + b"\x0b",
        value + b"x",
        value + value,
        b"[" + value + b"]",
        value.replace(b'"Quantity"', b'"Quantity": "none", "Quantity"'),
        value[:-1] + b', "Quantity": null}',
        value[:-1] + b', "Price": 3}',
        value.replace(b'"Price"', b'"\\u0050rice"'),
        value.replace(b'"Price"', b'"Price "'),
        value.replace(b", ", b",").replace(b": ", b":"),
        value[:-1] + b', "a": ' + b"[" * 50 + b"]" * 50 + b"}",
        value[:-1] + b', "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        value[:-1] + b', "a": 1e400, "b": -Infinity, "c": "\\ud800", "d": ' + b"9" * 4300 + b"}",
        value[:-1] + b', "a": ' + b"9" * 4301 + b"}",
        value[:-1] + b', "a": ' + b"9" * 400_000 + b"}",
    ]


NUMBERS = st.one_of(
    st.sampled_from(PLAIN_NUMBERS),
    st.sampled_from(PLAIN_NUMBERS),
    st.sampled_from(ODD_NUMBERS),
    st.integers(-10_000, 10_000).map(str),
    st.integers(-(10**9), 10**9).map(lambda units: repr(units / 10**6)),
    st.floats(allow_nan=False).map(repr),
)
CODES = st.one_of(
    st.sampled_from(STOCK_CODES[:3]),
    st.sampled_from(STOCK_CODES),
    st.sampled_from(ODD_CODES),
    st.text(max_size=5).map(json.dumps),
)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A message of which each part may be odd."""
    return message(draw(CODES), draw(NUMBERS), draw(NUMBERS), draw(NUMBERS))


def junk() -> st.SearchStrategy[bytes | None]:
    return st.one_of(
        st.sampled_from(GARBAGE),
        st.sampled_from(wrapped(message(time=repr(T0)))),
        st.binary(max_size=20),
        messages(),
    )


# Times that meet the limits of (600, 600, 300) exactly, miss them by little, or stand apart.
STEPS = [0, 1, 60, 150, 299, 300, 301, 599, 600, 601, 900, 1199, 1200, 1201, 1801, 5000]


@st.composite
def histories(draw: st.DrawFn, unit: float = 1.0, most: int = 40) -> list[Record]:
    """Up to `most` records; `unit` is the length of a second of STEPS."""
    base = draw(st.sampled_from([T0, 1_700_000_000.0, 0.0, -1200.0, 1e15, 0.1]))
    steps = st.one_of(
        st.sampled_from(STEPS),
        st.sampled_from([0.1, 0.2, 0.3, 599.9, 600.0000001, 1e-6]),
        st.integers(0, 3000),
    )
    records = []
    newest = base
    for offset in _offsets(draw, most):
        step = draw(steps) * draw(st.sampled_from([1, 1, 1, -1])) * unit
        time = newest + step
        if draw(st.integers(0, 19)) == 0:
            value = draw(junk())
        else:
            text = str(int(time)) if draw(st.booleans()) else repr(time)
            value = message(
                draw(st.sampled_from(STOCK_CODES[:4])),
                draw(st.sampled_from(PLAIN_NUMBERS)),
                draw(st.sampled_from(PLAIN_NUMBERS)),
                text,
            )
        ahead = draw(st.sampled_from([0, 0, 0, 1, 300, 300.001, 299.999, 400])) * unit
        stamp = draw(st.sampled_from([int((time - ahead) * 1000)] * 9 + [-1]))
        records.append(Record(offset, stamp, b"k", value))
        if draw(st.booleans()):
            newest = max(newest, time)
    return records


def _offsets(draw: st.DrawFn, most: int) -> list[int]:
    """Rising, with gaps as transactions and compaction leave them."""
    first = draw(st.sampled_from([0, 5, 2**40]))
    gaps = draw(st.lists(st.sampled_from([1, 1, 1, 2, 7]), min_size=1, max_size=most))
    return [first + gap - 1 for gap in accumulate(gaps)]


def long_history(
    seed: int,
    count: int,
    codes: int = 5,
    seconds: float = 0.9,
    jump: float = 0.0005,
    oddities: float = 0.03,
) -> Iterator[Record]:
    """`count` records that rise by `seconds` on average, disordered, with everything in between.

    `jump`: how often time goes on by half an hour; `oddities`: how often a record is junk.
    """
    rng = random.Random(seed)
    now = T0
    offset = rng.choice([0, 1, 10_000])
    odd = [*GARBAGE, *wrapped(message(time=repr(T0)))]
    for _ in range(count):
        offset += rng.choice([1, 1, 1, 1, 1, 1, 1, 2, 3])
        now += rng.expovariate(1 / seconds) if rng.random() > jump else 1800
        kind = rng.random()
        stamp = int(now * 1000) + rng.randrange(2000)
        time = now
        if kind < 0.15:  # late, but not too late
            time = now - rng.uniform(0, 590)
        elif kind < 0.18:  # about the limit of what is late
            time = now - rng.uniform(590, 620)
        elif kind < 0.21:  # far too late
            time = now - rng.uniform(620, 10_000)
        elif kind < 0.23:  # about the limit of what is ahead
            time = now + rng.uniform(295, 305)
        elif kind < 0.30:  # equal times
            time = float(int(now / 10) * 10)
        elif kind < 0.31:
            stamp = -1
        if rng.random() < oddities:
            value = rng.choice(odd)
            if rng.random() < 0.5:
                value = message(
                    rng.choice(ODD_CODES + STOCK_CODES),
                    rng.choice(ODD_NUMBERS),
                    rng.choice(ODD_NUMBERS + PLAIN_NUMBERS),
                    rng.choice([repr(time), repr(time), rng.choice(ODD_NUMBERS[:14])]),
                )
        else:
            value = message(
                json.dumps(str(10_000 + min(int(rng.expovariate(3 / codes)), codes - 1))),
                str(rng.choice([1, 1, 2, 6, 12, 100, -1, -12])),
                repr(rng.choice([0.85, 2.95, 1.25, 0.0, 12.75, -11062.06, 0.001, 7])),
                str(int(time)) if rng.random() < 0.05 else repr(time),
            )
        yield Record(offset, stamp, b"k", value)
