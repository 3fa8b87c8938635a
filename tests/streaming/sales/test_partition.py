import json
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.sales.limits import Limits
from streaming.sales.messages import Refusal
from streaming.sales.partition import Output, PartitionState
from tests.streaming.sales.records import NO_TIMESTAMP, Record, fields, message, sale, sums

LIMITS = Limits(window_seconds=600, lateness_seconds=600, max_skew_seconds=300)
CREATED = 1_700_000_000_000  # ms


def after(seconds: float) -> float:
    return math.nextafter(seconds, math.inf)


def before(seconds: float) -> float:
    return math.nextafter(seconds, -math.inf)


class TestTheSpecsTable:
    def test_row_for_row(self):
        # 1   10:32   10:37                 10:47   10:49
        # 2      10:33             10:45 10:46  10:48  10:50 10:51
        rows = [
            ("10:32", "1", 10, 2, 20.0),
            ("10:33", "2", 20, 1, 20.0),
            ("10:37", "1", 10, 2, 40.0),
            ("10:45", "2", 20, 1, 20.0),
            ("10:46", "2", 20, 3, 80.0),
            ("10:47", "1", 10, 2, 40.0),
            ("10:48", "2", 20, 1, 100.0),
            ("10:49", "1", 10, 3, 50.0),
            ("10:50", "2", 20, 1, 120.0),
            ("10:51", "2", 20, 3, 180.0),
        ]
        records = []
        for offset, (clock, code, price, quantity, _) in enumerate(rows):
            hours, minutes = clock.split(":")
            at = 3_600 * int(hours) + 60 * int(minutes)
            records.append(sale(offset, at, code, price=price, quantity=quantity))
        outcomes, halt = PartitionState(LIMITS).take(records)
        assert halt is None
        assert [
            (outcome.key.decode(), fields(outcome)["Epoch"], fields(outcome)["10minutesSum"])
            for outcome in outcomes
            if isinstance(outcome, Output)
        ] == [
            (code, fields_of["InvoiceDate"], found)
            for (_, code, _, _, found), fields_of in zip(
                rows, (json.loads(record.value or b"") for record in records), strict=True
            )
        ]

    def test_the_output_is_the_specs_example_byte_for_byte(self):
        state = PartitionState(LIMITS)
        one = sale(0, 1674744306.978004, "21491", price=312312312.75)
        assert state.take([one]) == (
            [
                Output(
                    b"21491",
                    b'{"StockCode": "21491", "Epoch": 1674744306.978004, '
                    b'"10minutesSum": 312312312.75}',
                )
            ],
            None,
        )


class TestOutputs:
    @pytest.mark.parametrize(
        "code", ["85123A", 'a "quote"', "back\\slash", "£ ü 🧦", " ", "/", "7"]
    )
    def test_the_stock_code_is_written_as_json_writes_it(self, code):
        outcomes, _ = PartitionState(LIMITS).take([sale(0, 5.0, code)])
        text = f'{{"StockCode": {json.dumps(code)}, "Epoch": 5.0, "10minutesSum": 1.0}}'
        assert outcomes == [Output(code.encode(), text.encode())]

    @pytest.mark.parametrize(
        ("at", "text"),
        [
            (1674744306, "1674744306"),
            (1674744306.0, "1674744306.0"),
            (1674744306.9780042, "1674744306.9780042"),
            (-0.0, "-0.0"),
            (1e16, "1e+16"),
            (2**53 + 1, "9007199254740993"),  # no double; kept as it is given
        ],
    )
    def test_the_epoch_is_the_number_that_was_given(self, at, text):
        outcomes, _ = PartitionState(LIMITS).take([sale(0, at)])
        assert isinstance(outcomes[0], Output)
        assert f'"Epoch": {text}, '.encode() in outcomes[0].value

    def test_returns_leave_no_negative_zero(self):
        state = PartitionState(LIMITS)
        assert sums(state, sale(0, 0.0), sale(1, 1.0, quantity=-1), sale(2, 2.0, price=-5.25)) == [
            1.0,
            0.0,
            -5.25,
        ]
        outcomes, _ = state.take([sale(3, 3.0, price=5.25)])
        assert isinstance(outcomes[0], Output)
        assert outcomes[0].value.endswith(b'"10minutesSum": 0.0}')

    def test_stock_codes_that_differ_by_case_or_blanks_are_different(self):
        state = PartitionState(LIMITS)
        codes = ["15056BL", "15056bl", "15056BL ", 15056, "15056"]
        records = [Record(offset, -1, b"k", message(code)) for offset, code in enumerate(codes)]
        assert sums(state, *records) == [1.0, 1.0, 1.0, 1.0, 2.0]


class TestAccepting:
    # greatest accepted W                               400        1000
    #                      late ──────────────────────┤ ├─ accepted ──
    def test_exactly_the_lateness_behind_is_accepted(self):
        state = PartitionState(LIMITS)
        assert sums(state, sale(0, 1_000.0), sale(1, 400.0), sale(2, before(400.0))) == [
            1.0,
            1.0,
            "late",
        ]

    def test_late_is_late_whatever_its_stock_code(self):
        state = PartitionState(LIMITS)
        assert sums(state, sale(0, 1_000.0, "a"), sale(1, 399.0, "b")) == [1.0, "late"]

    def test_what_is_refused_is_in_no_sum_and_moves_no_watermark(self):
        state = PartitionState(LIMITS)
        ahead = sale(1, 9_000.0, timestamp=1_000_000)
        late = sale(2, 0.0)
        assert sums(state, sale(0, 1_000.0), ahead, late, sale(3, 1_000.0)) == [
            1.0,
            "ahead",
            "late",
            2.0,
        ]
        assert state.watermark == 1_000.0

    # broker's timestamp T = 1,700,000,000 s         T              T + 300
    #                                  ── accepted ──┴── accepted ──┤├── ahead
    def test_exactly_the_skew_ahead_is_accepted(self):
        at = CREATED / 1_000 + 300
        records = [
            sale(0, at, timestamp=CREATED),
            sale(1, after(at), timestamp=CREATED),
            sale(2, after(at), timestamp=CREATED + 1),
        ]
        assert sums(PartitionState(LIMITS), *records) == [1.0, "ahead", 2.0]

    def test_without_a_timestamp_nothing_is_ahead(self):
        state = PartitionState(LIMITS)
        assert sums(state, sale(0, 1e300, timestamp=NO_TIMESTAMP)) == [1.0]
        assert state.watermark == 1e300

    def test_a_timestamp_of_zero_is_one(self):
        assert sums(PartitionState(LIMITS), sale(0, 301.0, timestamp=0)) == ["ahead"]

    def test_ahead_comes_before_late(self):
        state = PartitionState(LIMITS)
        assert sums(state, sale(0, 1e9), sale(1, 1e6, timestamp=0)) == [1.0, "ahead"]

    def test_before_the_first_accepted_one_nothing_is_late(self):
        state = PartitionState(LIMITS)
        assert state.watermark is None
        assert sums(state, Record(0, -1, None, b"{}"), sale(1, -1e300)) == ["missing_field", 1.0]
        assert state.watermark == -1e300

    def test_times_are_compared_as_doubles(self):
        # 2⁵³ + 1 is no double: as a time it is 2⁵³, so both are of one time.
        state = PartitionState(Limits(0, 0, 0))
        assert sums(state, sale(0, 2**53 + 1), sale(1, 2.0**53)) == [1.0, 2.0]

    def test_the_details_have_the_figures(self):
        state = PartitionState(LIMITS)
        outcomes, _ = state.take(
            [sale(0, 5_000.5), sale(1, 4_000.25), sale(2, 9_000, timestamp=8_000_000)]
        )
        assert outcomes[1:] == [
            Refusal(
                "late",
                "InvoiceDate 4000.25 is more than 600 s behind the greatest one accepted in this "
                "partition, 5000.5.",
            ),
            Refusal(
                "ahead",
                "InvoiceDate 9000 is more than 300 s ahead of the broker's timestamp, 8000.0.",
            ),
        ]

    def test_counts(self):
        state = PartitionState(LIMITS)
        state.absorb([sale(3, 1_000.0), Record(4, -1, None, b"")])
        assert (state.accepted, state.refused, state.next_offset) == (0, 0, 5)
        state.take([sale(9, 1_000.0, "2"), sale(10, 0.0), sale(11, 1_001.0)])
        assert (state.accepted, state.refused, state.next_offset) == (2, 1, 12)
        assert (state.events, state.keys) == (3, 2)

    def test_nothing_to_take(self):
        state = PartitionState(LIMITS)
        assert state.take([]) == ([], None)
        assert state.next_offset is None

    @pytest.mark.parametrize("seconds", [-1, math.nan, math.inf])
    def test_limits_are_spans_of_time(self, seconds):
        for limits in ((seconds, 0, 0), (0, seconds, 0), (0, 0, seconds)):
            with pytest.raises(ValueError, match="no span of time"):
                Limits(*limits)


def slow(limits: Limits, log: list[Record]) -> list[Any]:
    """The rules read out loud: every event so far, and each sum from the beginning."""
    accepted: list[tuple[str, float, Decimal]] = []
    found: list[Any] = []
    for record in log:
        if not record.value:
            found.append("empty")
            continue
        given = json.loads(record.value)
        at = float(given["InvoiceDate"])
        newest = max((time for _, time, _ in accepted), default=None)
        if record.timestamp >= 0 and at > record.timestamp / 1_000 + limits.max_skew_seconds:
            found.append("ahead")
        elif newest is not None and at < newest - limits.lateness_seconds:
            found.append("late")
        else:
            amount = Decimal(repr(given["Price"])) * given["Quantity"]
            accepted.append((given["StockCode"], at, amount))
            found.append(
                sum(
                    amount
                    for code, time, amount in accepted
                    if code == given["StockCode"] and at - limits.window_seconds <= time <= at
                )
            )
    return found


# Half seconds around a clock that goes on, so that ties and the edges of all rules are met.
ARRIVALS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 0.5, 1.0, 4.0, 30.0]),  # the clock's step
        st.sampled_from([0.0, 0.0, 0.0, -0.5, -3.0, -5.0, -5.5, -9.0, 3.0, 3.5, 6.0]),
        st.sampled_from(["a", "a", "b", "c", "d", "e"]),
        st.sampled_from([0.01, 1.95, -2.5, 0.0, 1e9]),
        st.sampled_from([0, 0, 0, NO_TIMESTAMP, None]),  # ms behind the clock; None: no value
    ),
    max_size=60,
)


def log_of(arrivals: list[Any]) -> list[Record]:
    clock, log = 1_000.0, []
    for offset, (step, ahead, code, price, behind) in enumerate(arrivals):
        clock += step
        timestamp = NO_TIMESTAMP if behind == NO_TIMESTAMP else int(clock * 1_000)
        one = sale(3 * offset, clock + ahead, code, price=price, timestamp=timestamp)
        log.append(one if behind is not None else one._replace(value=b""))
    return log


class TestAgainstTheSlowOne:
    @given(ARRIVALS, st.integers(1, 7), st.integers(1, 5), st.sampled_from([0, 5, 12]))
    def test_any_log_in_any_batches(self, arrivals, batch, segment_records, lateness):
        limits = Limits(10, lateness, 3)
        log = log_of(arrivals)
        state = PartitionState(limits, segment_records=segment_records)
        outcomes: list[Output | Refusal] = []
        for start in range(0, len(log), batch):
            some, halt = state.take(log[start : start + batch])
            assert halt is None
            outcomes += some
            state.top(2)  # looking changes nothing
            state.curve("a", 3)
        found = [
            one.reason
            if isinstance(one, Refusal)
            else json.loads(one.value, parse_float=Decimal)["10minutesSum"]
            for one in outcomes
        ]
        assert found == slow(limits, log)
