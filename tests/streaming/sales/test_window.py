import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.sales.window import KeyWindow

WINDOW = 600.0


def added(*events: tuple[float, int], window: float = WINDOW) -> list[int]:
    """The sum of each event's window, in the order in which they came."""
    of_key = KeyWindow("1")
    return [of_key.add(at, units, window) for at, units in events]


def minutes(text: str) -> float:
    """Seconds of the spec's `10:32`."""
    hours, rest = text.split(":")
    return 3_600.0 * int(hours) + 60.0 * int(rest)


class Slow:
    """Every event as it came; each sum from the beginning."""

    def __init__(self, window: float) -> None:
        self.window = window
        self.events: list[tuple[float, int]] = []

    def add(self, at: float, units: int) -> int:
        self.events.append((at, units))
        return self.total(at)

    def total(self, at: float) -> int:
        return sum(units for time, units in self.events if at - self.window <= time <= at)

    def free(self, keep: float) -> None:
        self.events = [(time, units) for time, units in self.events if time >= keep]


class TestInOrder:
    def test_the_specs_table_row_for_row(self):
        # StockCode 1   10:32  10:37            10:47  10:49
        #                 20     20               20     30
        # at 10:47               ├─────10 min─────┤              20 + 20
        # at 10:49                    ├───10 min────────┤        20 + 30
        rows = [("10:32", 10, 2), ("10:37", 10, 2), ("10:47", 10, 2), ("10:49", 10, 3)]
        found = added(*((minutes(at), price * quantity) for at, price, quantity in rows))
        assert found == [20, 40, 40, 50]

    def test_the_specs_other_stock_code(self):
        # StockCode 2   10:33            10:45  10:46  10:48  10:50  10:51
        #                 20               20     60     20     20     60
        # at 10:45             ├───10 min───┤                              20
        # at 10:51                  ├────10 min───────────────────────┤   180
        rows = [
            ("10:33", 20, 1),
            ("10:45", 20, 1),
            ("10:46", 20, 3),
            ("10:48", 20, 1),
            ("10:50", 20, 1),
            ("10:51", 20, 3),
        ]
        found = added(*((minutes(at), price * quantity) for at, price, quantity in rows))
        assert found == [20, 20, 80, 100, 120, 180]

    def test_it_is_closed_at_both_ends(self):
        # 0                 600
        # ├──────window──────┤      both ends belong to it
        assert added((0.0, 1), (600.0, 2)) == [1, 3]

    def test_what_is_a_hair_older_has_left(self):
        # 0                 600.0000001
        #   ├──────window──────┤
        assert added((0.0, 1), (math.nextafter(600.0, math.inf), 2)) == [1, 2]

    def test_events_of_one_time_count_from_their_offset_on(self):
        # 5  5  5      each holds those before it, none holds those after it
        assert added((5.0, 1), (5.0, 10), (5.0, 100)) == [1, 11, 111]

    def test_a_window_of_no_length_holds_events_of_one_time(self):
        # 5  5  6  6
        # └──┘  └──┘
        assert added((5.0, 1), (5.0, 10), (6.0, 100), (6.0, 1_000), window=0.0) == [
            1,
            11,
            100,
            1_100,
        ]

    def test_returns_subtract(self):
        assert added((0.0, 500), (1.0, -700), (2.0, 100)) == [500, -200, -100]

    def test_sums_may_pass_int64(self):
        most = 2**63 - 1
        assert added((0.0, most), (0.0, most), (0.0, most)) == [most, 2 * most, 3 * most]

    def test_a_long_silence_empties_it(self):
        # 0 1 2 …                               1e12
        # ├─────┤                            ├────┤
        assert added(*((float(at), 1) for at in range(50)), (1e12, 7))[-1] == 7


class TestBehind:
    def test_an_event_behind_gets_the_window_that_ends_at_its_own_time(self):
        # offsets    0    1         2
        # times      0   100       50
        # of 2       ├────┼─────────┤     event 1 is newer: not in it
        assert added((0.0, 1), (100.0, 10), (50.0, 100)) == [1, 11, 101]

    def test_it_counts_for_those_that_come_after_it(self):
        assert added((0.0, 1), (100.0, 10), (50.0, 100), (100.0, 1_000))[-1] == 1_111

    def test_it_comes_after_those_of_its_own_time(self):
        # times     50   100   50   50
        assert added((50.0, 1), (100.0, 10), (50.0, 100), (50.0, 1_000)) == [1, 11, 101, 1_101]

    def test_its_window_reaches_further_back_than_the_running_one(self):
        # times     0    300         1000      500
        # running                 400├────┤
        # of 500   ├─────┼──────────────────┤   (−100 … 500)
        assert added((0.0, 1), (300.0, 10), (1_000.0, 100), (500.0, 1_000)) == [1, 11, 100, 1_011]

    def test_it_may_lie_wholly_before_the_running_one(self):
        # times    1000          0           1000
        # running 400├─────┤                  the event at 0 is not in it
        assert added((1_000.0, 1), (0.0, 10), (1_000.0, 100)) == [1, 10, 101]

    def test_at_the_running_windows_first_instant_it_is_in_it(self):
        # times    1000   400     1000
        # running 400├─────┤
        assert added((1_000.0, 1), (400.0, 10), (1_000.0, 100)) == [1, 10, 111]

    def test_closed_at_both_ends_there_too(self):
        # times    1000   100   700    the window of 700 is [100, 700]
        assert added((1_000.0, 1), (100.0, 10), (700.0, 100)) == [1, 10, 110]


# Few instants, so that ties and both ends of windows are met; eighths, so that they are exact.
TIMES = st.integers(0, 400).map(lambda eighths: eighths / 8)
UNITS = st.one_of(st.integers(-3, 3), st.integers(-(2**63), 2**63 - 1))
STEPS = st.one_of(
    st.tuples(st.just("add"), TIMES, UNITS),
    st.tuples(st.just("add"), TIMES, UNITS),
    st.tuples(st.just("advance"), TIMES, st.just(0)),
    st.tuples(st.just("free"), TIMES, st.just(0)),
)


class TestAgainstTheSlowOne:
    @given(st.lists(STEPS, max_size=60), st.sampled_from([0.0, 1.0, 5.0, 12.5, 100.0]))
    def test_any_order_of_steps(self, steps, window):
        of_key, slow = KeyWindow("1"), Slow(window)
        freed = -math.inf
        for step, at, units in steps:
            if step == "add" and at - window >= freed:
                assert of_key.add(at, units, window) == slow.add(at, units)
            elif step == "advance":
                assert of_key.advance(at, window) == slow.total(of_key.at)
            elif step == "free" and of_key.times and at <= of_key.times[-1]:
                # As the partition does it: never the newest, and nothing before it is asked for.
                freed = max(freed, at)
                before = len(of_key.times)
                assert of_key.free(at) == before - len(of_key.times)
                slow.free(at)
            assert sorted(slow.events) == sorted(zip(of_key.times, of_key.units, strict=True))
            assert list(of_key.times) == sorted(of_key.times)

    @given(
        st.lists(st.tuples(st.floats(0, 2e9), UNITS), min_size=1, max_size=40),
        st.floats(0, 1e9),
    )
    def test_doubles_of_any_kind(self, events, window):
        slow = Slow(window)
        assert added(*events, window=window) == [slow.add(*event) for event in events]

    @given(
        st.lists(st.tuples(TIMES, UNITS), max_size=30),
        st.lists(TIMES, max_size=10),
        st.sampled_from([0.0, 5.0, 12.5]),
    )
    def test_the_sums_of_a_curve(self, events, instants, window):
        of_key, slow = KeyWindow("1"), Slow(window)
        for at, units in events:
            of_key.add(at, units, window)
            slow.add(at, units)
        assert of_key.sums(instants, window) == [slow.total(at) for at in instants]


class TestFreeing:
    def test_it_frees_what_is_before_the_bound_and_keeps_the_sum(self):
        of_key = KeyWindow("1")
        for at in range(0, 2_000, 100):
            of_key.add(float(at), 1, WINDOW)
        assert of_key.free(700.0) == 7
        assert of_key.times[0] == 700.0
        assert of_key.add(1_900.0, 1, WINDOW) == 8

    def test_it_frees_events_of_the_running_sum_of_a_silent_key(self):
        # times        0  100  …  500    silent since; keep = 300
        of_key = KeyWindow("1")
        for at in range(0, 600, 100):
            of_key.add(float(at), 1, WINDOW)
        assert of_key.free(300.0) == 3
        assert of_key.total == 3
        assert of_key.add(900.0, 1, WINDOW) == 4

    @pytest.mark.parametrize("held", [0, 1, 10, 1_000])
    def test_there_is_room_for_a_sixteenth_more_before_the_next_time(self, held):
        of_key = KeyWindow("1")
        for at in range(held + 5):
            of_key.add(float(at), 1, WINDOW)
        of_key.free(5.0)
        assert held < of_key.room <= held + held / 16 + 4
