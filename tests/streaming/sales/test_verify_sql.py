"""What verify_sales decides and adds up in PostgreSQL, against the oracle of Python decimals."""

import random
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streaming.kafka_log import reader
from streaming.sales.limits import Limits
from streaming.sales.verify import sums
from streaming.sales.verify.decisions import Decisions, Range
from streaming.sales.verify.session import Session
from tests.streaming.sales import oracle
from tests.streaming.sales.histories import (
    GARBAGE,
    ODD_CODES,
    ODD_NUMBERS,
    PLAIN_NUMBERS,
    STOCK_CODES,
    histories,
    message,
    messages,
    wrapped,
)

pytestmark = pytest.mark.django_db
SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
PIECES = [
    *(b"NaN", b"-", b'"', b"\\", b"Infinity", b"\\u0000", b"\\ud800", b"\\udc00", b"0", b"e", b"."),
    *(b"[", b"}", b",", b"\x00", b"\x01", b"\xc3", b"null", b" ", b"\n"),
]


@pytest.fixture
def session() -> Iterator[Session]:
    with Session() as made:
        yield made


def read(session: Session, values: Sequence[bytes | None]) -> list[Any]:
    """Of each value a reason, or (StockCode, time, Epoch, amount)."""
    session.run("TRUNCATE arrived")
    session.copy("arrived", "at_offset, value", list(enumerate(values)))
    rows = session.rows(
        "SELECT (sale).* FROM (SELECT at_offset, pg_temp.sale(value) AS sale FROM arrived OFFSET 0)"
        " AS read ORDER BY at_offset"
    )
    return [reason or tuple(rest) for reason, *rest in rows]


def right(value: bytes | None) -> Any:
    try:
        code, epoch, amount = oracle.parse(value)
    except oracle.Refused as refused:
        return str(refused)
    return code, float(epoch), oracle.decimal(epoch), amount


def assert_read(session: Session, values: Sequence[bytes | None]) -> None:
    for value, found in zip(values, read(session, values), strict=True):
        assert found == right(value), (value or b"")[:300]


def test_odd_messages_are_read_as_by_the_oracle(session: Session) -> None:
    odd = [*GARBAGE, *wrapped(message(time="1.5"))]
    odd += [message(code) for code in STOCK_CODES + ODD_CODES]
    for number in ODD_NUMBERS + PLAIN_NUMBERS:
        odd += [message(quantity=number), message(price=number), message(time=number)]
        odd += [message(quantity=number, price=other) for other in ODD_NUMBERS]
    odd.append(
        b'{"StockCode": "a\\ud83d\\ude00\\\\u0000", "a": "NaN -Infinity \\" Infinity", '
        b'"Quantity": 1, "Price": 1, "InvoiceDate": 5, "b": [-Infinity, NaN]}'
    )
    assert_read(session, odd)


def test_damaged_messages_are_read_as_by_the_oracle(session: Session) -> None:
    random_ = random.Random(5)
    whole = [
        message(
            random_.choice(STOCK_CODES + ODD_CODES),
            random_.choice(ODD_NUMBERS),
            random_.choice(PLAIN_NUMBERS),
            "1.5",
        )
        for _ in range(50)
    ]
    whole += wrapped(message(time="1.5"))
    damaged = []
    for _ in range(2000):
        value = bytearray(random_.choice(whole)[:1500])
        for _ in range(random_.randint(1, 3)):
            place = random_.randrange(len(value))
            match random_.randint(0, 2):
                case 0:
                    del value[place : place + random_.randint(1, 4)]
                case 1:
                    value[place:place] = random_.choice(PIECES)
                case _:
                    value[place] = random_.randrange(256)
        damaged.append(bytes(value))
    assert_read(session, damaged)


@settings(max_examples=20, deadline=None, suppress_health_check=SLOW)
@given(st.lists(st.one_of(messages(), st.binary(max_size=20)), max_size=50))
def test_any_messages_are_read_as_by_the_oracle(session: Session, values: list[bytes]) -> None:
    assert_read(session, values)


def test_decimals_of_doubles_are_those_of_python(session: Session) -> None:
    """Also where the shortest lies between two doubles: PostgreSQL writes more digits."""
    random_ = random.Random(1)
    numbers = [2.878119304486581e16, 1e23, 5e-324, 1.7976931348623157e308, 2.0**54, 2.0**53 + 2]
    numbers += [random_.uniform(1, 10) * 10 ** random_.randint(14, 24) for _ in range(3000)]
    numbers += [float(random_.randint(2**53, 2**60)) for _ in range(3000)]
    numbers += [random_.uniform(-10, 10) * 10.0 ** random_.randint(-300, 300) for _ in range(1000)]
    numbers += [1_700_000_000 + random_.random() * 10**8 for _ in range(1000)]
    found = session.rows(
        "SELECT pg_temp.decimal(number) FROM unnest(%(numbers)s) WITH ORDINALITY AS a (number, n)"
        " ORDER BY n",
        {"numbers": [repr(number) for number in numbers]},
    )
    assert [each for (each,) in found] == [oracle.decimal(number) for number in numbers]


def outputs(
    session: Session, records: Sequence[oracle.Record], limits: Limits, batch: int
) -> tuple[list[tuple[int, str, Decimal, Decimal]], list[tuple[int, str]]]:
    """Outputs and refusals of a whole history, made batch by batch."""
    session.run("TRUNCATE accepted, expected")
    decisions = Decisions(session, limits, Range(-(2**63), 2**63 - 1, 2**62, None))
    refused: list[tuple[int, str]] = []
    for first in range(0, len(records), batch):
        part = [
            reader.Record(0, each.offset, each.timestamp, each.key, each.value, ())
            for each in records[first : first + batch]
        ]
        decisions.decide(part)
        refused += session.rows(
            "SELECT at_offset, reason FROM decided WHERE reason IS NOT NULL ORDER BY at_offset"
        )
        sums.add_up(session, limits.window_seconds, 2**62, part[0].offset, part[-1].offset)
        decisions.forget()
    made = session.rows("SELECT at_offset, code, epoch, total FROM expected ORDER BY at_offset")
    return made, refused


def assert_outputs(
    session: Session, records: Sequence[oracle.Record], limits: Limits, batch: int
) -> None:
    spans = (limits.window_seconds, limits.lateness_seconds, limits.max_skew_seconds)
    outcome = oracle.run(records, *spans)
    made, refused = outputs(session, records, limits, batch)
    assert refused == [tuple(each) for each in outcome.dead_letters]
    assert [(offset, code, epoch, oracle.plain(total)) for offset, code, epoch, total in made] == [
        (
            sale.offset,
            sale.stock_code,
            oracle.decimal(sale.epoch),
            each.value.decode().rpartition(" ")[2].rstrip("}"),
        )
        for sale, each in zip(outcome.accepted, outcome.outputs, strict=True)
    ]


@settings(max_examples=40, deadline=None, suppress_health_check=SLOW)
@given(histories(), st.integers(1, 15), st.sampled_from([0.1, 1, 30]))
def test_sums_are_those_of_the_oracle(
    session: Session, records: list[oracle.Record], batch: int, pairs: float
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sums, "PAIRS_PER_SALE", pairs)
        assert_outputs(session, records, Limits(600, 600, 300), batch)


@pytest.mark.parametrize("seed", range(3))
def test_sums_of_long_histories(
    session: Session, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ties, rows that come late, and windows without and with a longer memory than the lateness."""
    monkeypatch.setattr(sums, "PAIRS_PER_SALE", 10)
    random_ = random.Random(seed)
    records = []
    for offset in range(1500):
        newest = offset // 3
        time = newest - random_.choice([0, 0, 0.5, 1, 7, 20, 40, 41, 60, -5, -31])
        value = message(
            random_.choice(STOCK_CODES[:4]), random_.choice(PLAIN_NUMBERS), "0.1", repr(time)
        )
        records.append(oracle.Record(offset * 2, newest * 1000, b"k", value))
    limits = [Limits(40, 40, 30), Limits(100, 5, 0), Limits(1, 60, 300)][seed]
    assert_outputs(session, records, limits, 200)
