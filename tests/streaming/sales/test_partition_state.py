import math

import pytest

from streaming.sales.limits import Limits
from streaming.sales.partition import Halt, PartitionState, Selling
from tests.streaming.sales.records import Record, sale, sums

LIMITS = Limits(window_seconds=600, lateness_seconds=600, max_skew_seconds=300)
SMALL = Limits(window_seconds=10, lateness_seconds=5, max_skew_seconds=3)


def after(seconds: float) -> float:
    return math.nextafter(seconds, math.inf)


def before(seconds: float) -> float:
    return math.nextafter(seconds, -math.inf)


def halted(state: PartitionState, *records: Record) -> Halt | None:
    return state.take(records)[1]


class TestKeys:
    def test_a_record_without_a_key_halts(self):
        state = PartitionState(LIMITS, check_keys=True)
        halt = halted(state, sale(7, 1.0, key=None))
        assert halt == Halt(7, "no_key", 'The record of StockCode "1" has no key.')

    def test_a_stock_code_under_another_key_halts(self):
        state = PartitionState(LIMITS, check_keys=True)
        halt = halted(state, sale(0, 1.0, key=b"first"), sale(1, 2.0, key=b"\xffsecond"))
        assert halt == Halt(
            1, "two_keys", 'StockCode "1" has the key "\\\\xffsecond", before it had "first".'
        )

    def test_what_came_before_it_is_taken_and_the_record_itself_is_not(self):
        state = PartitionState(LIMITS, check_keys=True)
        outcomes, halt = state.take([sale(0, 1.0), sale(1, 9.0, key=b"x"), sale(2, 3.0)])
        assert len(outcomes) == 1
        assert halt is not None
        assert (state.next_offset, state.watermark, state.events) == (1, 1.0, 1)
        assert state.take([sale(1, 9.0, key=b"x"), sale(2, 3.0)]) == ([], halt)
        assert (state.next_offset, state.watermark, state.events) == (1, 1.0, 1)
        assert sums(state, sale(1, 9.0), sale(2, 3.0)) == [2.0, 2.0]

    def test_dead_letters_do_not_halt(self):
        state = PartitionState(LIMITS, check_keys=True)
        assert sums(
            state,
            sale(0, 1_000.0),
            Record(1, -1, None, b"{}"),
            sale(2, 0.0, key=None),
            sale(3, 9_000.0, key=b"x", timestamp=0),
        ) == [1.0, "missing_field", "late", "ahead"]

    def test_a_replay_never_halts_and_the_last_key_is_remembered(self):
        state = PartitionState(LIMITS, check_keys=True)
        state.absorb([sale(0, 1.0, key=None), sale(1, 2.0, key=b"x"), sale(2, 1.5, key=b"y")])
        assert state.next_offset == 3
        halt = halted(state, sale(3, 3.0, key=b"x"))
        assert halt is not None
        assert halt.reason == "two_keys"
        assert sums(state, sale(3, 3.0, key=b"y")) == [4.0]

    # key x at 0      W − lateness − window     key y at
    #     │ ◂──────────────────────── 1,200 ────▸│ 1200    still has state
    #     │ ◂────────────────────────────────────────▸│ 1200.1    has none
    @pytest.mark.parametrize(("at", "reason"), [(1_200.0, "two_keys"), (after(1_200.0), None)])
    def test_the_key_is_remembered_as_long_as_there_is_state(self, at, reason):
        state = PartitionState(LIMITS, check_keys=True)
        state.take([sale(0, 0.0, key=b"x")])
        halt = halted(state, sale(1, at, key=b"y"))
        assert (halt and halt.reason) == reason

    def test_on_one_partition_keys_do_not_matter(self):
        state = PartitionState(LIMITS)
        records = [sale(0, 1.0, key=None), sale(1, 2.0, key=b"x"), sale(2, 3.0, key=b"y")]
        assert sums(state, *records) == [1.0, 2.0, 3.0]

    def test_shared_keys_are_counted(self):
        state = PartitionState(LIMITS)
        records = [
            sale(0, 0.0, "a", key=b"invoice"),
            sale(1, 0.0, "b", key=b"invoice"),
            sale(2, 0.0, "c", key=b"invoice"),
            sale(3, 0.0, "d", key=b"two"),
            sale(4, 0.0, "e", key=b"two"),
            sale(5, 0.0, "f"),
            sale(6, 0.0, "g", key=None),
            sale(7, 0.0, "h", key=None),
        ]
        state.take(records)
        assert state.shared_keys() == [(b"invoice", 3), (b"two", 2)]
        assert state.shared_keys(1) == [(b"invoice", 3)]

    def test_keys_without_state_are_not_shared(self):
        state = PartitionState(LIMITS)
        state.take([sale(0, 0.0, "a", key=b"k"), sale(1, 5_000.0, "b", key=b"k")])
        assert state.shared_keys() == []


class TestForgetting:
    def test_stock_codes_met_once_are_forgotten(self):
        state = PartitionState(SMALL, segment_records=10)
        most = 0
        for start in range(0, 5_000, 50):
            state.take([sale(n, n / 10, f"code {n}") for n in range(start, start + 50)])
            most = max(most, state.keys)
            assert state.events == state.keys
        # 15 s at 10 a second, and what one batch and one segment bring.
        assert most <= 150 + 50 + 10

    def test_a_silent_stock_codes_events_are_freed_while_others_go_on(self):
        state = PartitionState(SMALL, segment_records=10)
        state.take([sale(n, n / 100, "silent") for n in range(1_000)])
        assert state.events == 1_000
        state.take([sale(1_000 + n, 10 + n / 10, "busy") for n in range(200)])
        assert state.keys == 1
        assert state.events <= 150 + 20

    def test_a_busy_stock_codes_events_are_freed(self):
        state = PartitionState(SMALL, segment_records=100)
        for start in range(0, 20_000, 500):
            state.take([sale(n, n / 100) for n in range(start, start + 500)])
            assert state.events <= 1_500 * 17 / 16 + 500 + 100

    def test_those_that_come_again_and_again_stay_until_their_last_event_is_old(self):
        state = PartitionState(SMALL, segment_records=5)
        for n in range(400):
            state.take([sale(n, float(n), "often" if n % 7 == 0 else f"once {n}")])
        assert state.keys <= 15 + 5 + 1
        assert sums(state, sale(400, 399.0, "often")) == [3.0]  # 392, 399 and this one

    def test_what_is_just_not_too_old_is_kept(self):
        # W = 21, needed: from 6 on
        # times      0  1    6  7    21   16
        # segments  ├────┤  ├────┤  ├──────      the window of 16 is [6, 16]
        state = PartitionState(SMALL, segment_records=2)
        state.take([sale(0, 0.0, "a"), sale(1, 1.0), sale(2, 6.0, "a"), sale(3, 7.0)])
        state.take([sale(4, 21.0)])
        assert state.checkpoint().replay_from == 2
        assert sums(state, sale(5, 16.0, "a")) == [2.0]

    def test_refused_records_alone_pile_up_nothing(self):
        state = PartitionState(SMALL, segment_records=5)
        for start in range(0, 1_000, 10):
            state.take([Record(n, -1, None, b"") for n in range(start, start + 10)])
        assert state.checkpoint().replay_from >= 990
        assert state.size_bytes() < 1_000

    def test_a_silence_leaves_the_newest_alone(self):
        state = PartitionState(SMALL, segment_records=5)
        state.take([sale(n, float(n % 10), f"code {n}") for n in range(100)])
        state.take([sale(100, 1e6)])
        assert (state.keys, state.events) == (1, 1)


class TestLooking:
    # W = 1000: [400, 1000]
    def state(self) -> PartitionState:
        state = PartitionState(LIMITS)
        state.take(
            [
                sale(0, before(400.0), "a", price=100),
                sale(1, 400.0, "a", price=1.5),
                sale(2, 1_000.0, "b", price=3),
                sale(3, 900.0, "a", price=1.5),
                sale(4, 950.0, "c", price=-8),
                sale(5, 950.0, "d", price=2.5),
            ]
        )
        return state

    def test_the_largest_sums_of_the_last_window(self):
        assert self.state().top(50) == [
            Selling("a", 3_000_000, 2, 900.0),
            Selling("b", 3_000_000, 1, 1_000.0),
            Selling("d", 2_500_000, 1, 950.0),
            Selling("c", -8_000_000, 1, 950.0),
        ]
        assert [one.stock_code for one in self.state().top(2)] == ["a", "b"]

    def test_what_sold_nothing_in_it_is_not_among_them(self):
        state = PartitionState(LIMITS)
        state.take([sale(0, 0.0, "a"), sale(1, after(600.0), "b")])
        assert [one.stock_code for one in state.top(9)] == ["b"]

    def test_nothing_taken_nothing_sold(self):
        assert PartitionState(LIMITS).top(5) == []
        assert PartitionState(LIMITS).shared_keys() == []
        assert PartitionState(LIMITS).curve("1", 5) == []

    def test_a_curve(self):
        # a: 100 just before 400, 1.5 at 400, 1.5 at 900; b brought the watermark to 1000
        assert self.state().curve("a", 7) == [
            (400.0, 101_500_000),
            (500.0, 101_500_000),
            (600.0, 101_500_000),
            (700.0, 101_500_000),
            (800.0, 101_500_000),
            (900.0, 103_000_000),
            (1_000.0, 3_000_000),
        ]

    def test_of_an_unknown_stock_code_there_is_none(self):
        assert self.state().curve("A", 7) == []

    def test_of_one_whose_events_are_too_old_there_is_none(self):
        state = PartitionState(LIMITS)
        state.take([sale(0, 0.0, "a"), sale(1, 1_200.0, "b")])
        assert state.curve("a", 2) == [(600.0, 1_000_000), (1_200.0, 0)]
        state.take([sale(2, after(1_200.0), "b")])
        assert state.curve("a", 2) == []

    def test_where_less_is_kept_the_curve_begins_later(self):
        # kept: 10 + 5 s behind W = 100, so sums are whole from 95 on
        state = PartitionState(SMALL)
        state.take([sale(n, float(n)) for n in range(101)])
        assert state.curve("1", 3) == [
            (95.0, 11_000_000),
            (97.5, 10_000_000),
            (100.0, 11_000_000),
        ]
