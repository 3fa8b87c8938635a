import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.sales.checkpoint import Checkpoint
from streaming.sales.limits import Limits
from streaming.sales.messages import Refusal
from streaming.sales.partition import Halt, Output, PartitionState
from tests.streaming.sales.records import NO_TIMESTAMP, Record, sale

LIMITS = Limits(window_seconds=10, lateness_seconds=5, max_skew_seconds=3)


class TestItsText:
    @pytest.mark.parametrize(
        ("checkpoint", "text"),
        [
            (Checkpoint(0, None, 1200), "sales1 0 - 1200"),
            (Checkpoint(17, 1674744306.978004, 1200.0), "sales1 17 1674744306.978004 1200.0"),
            (Checkpoint(2**63 - 1, -0.1, 0), "sales1 9223372036854775807 -0.1 0"),
            (Checkpoint(5, 1e300, 1e-7), "sales1 5 1e+300 1e-07"),
        ],
    )
    def test_there_and_back(self, checkpoint, text):
        assert checkpoint.encode() == text
        assert Checkpoint.decode(text) == checkpoint

    @given(
        st.integers(0, 2**63 - 1),
        st.none() | st.floats(allow_nan=False, allow_infinity=False),
        st.floats(0, allow_infinity=False),
    )
    def test_any_one_comes_back_to_the_last_bit(self, replay_from, watermark, kept):
        checkpoint = Checkpoint(replay_from, watermark, kept)
        assert repr(Checkpoint.decode(checkpoint.encode())) == repr(checkpoint)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "sales1",
            "sales2 0 - 1200",
            "sales1 0 -",
            "sales1 0 - 1200 ",
            " sales1 0 - 1200",
            "sales1 0 - 1200\n",
            "sales1  0 - 1200",
            "sales1 0 - 1200 7",
            "sales1 -1 - 1200",
            "sales1 1.0 - 1200",
            "sales1 1_0 - 1200",
            "sales1 ٣ - 1200",
            f"sales1 {10**20} - 1200",
            "sales1 0 None 1200",
            "sales1 0 nan 1200",
            "sales1 0 inf 1200",
            "sales1 0 1e999 1200",
            "sales1 0 - inf",
            "sales1 0 - 1e999",
            "sales1 0 - -1.0",
            "sales1 0 - ",
            '{"replay_from": 0}',
        ],
    )
    def test_what_it_did_not_write_is_unreadable(self, text):
        assert Checkpoint.decode(text) is None

    @given(st.text())
    def test_no_text_raises(self, text):
        Checkpoint.decode(text)
        Checkpoint.decode(f"sales1 {text}")


class TestWhereAReplayBegins:
    def test_before_the_first_record_at_the_beginning(self):
        assert PartitionState(LIMITS).checkpoint() == Checkpoint(0, None, 15)

    def test_before_the_first_record_of_a_replay_where_that_begins(self):
        start = Checkpoint(40, 99.5, 15)
        state = PartitionState(LIMITS, start=start)
        assert state.checkpoint() == start
        assert (state.watermark, state.next_offset) == (99.5, None)

    def test_with_the_first_record_while_its_segment_is_needed(self):
        # offsets      7        8        9        10
        # times        0        5       15        16
        # segments   ├─── W none ─────┤├─── W 5 ───┤   at W = 15 the first still holds 0 ≥ 15 − 15
        state = PartitionState(LIMITS, segment_records=2)
        state.take([sale(7, 0.0), sale(8, 5.0), sale(9, 15.0)])
        assert state.checkpoint() == Checkpoint(7, None, 15)

    def test_later_once_all_events_of_the_segment_are_too_old(self):
        # times        0        5       20        21       needed: from 21 − 15 = 6 on
        # segments   ├─── W none ─────┤├─── W 5 ───┤
        state = PartitionState(LIMITS, segment_records=2)
        state.take([sale(7, 0.0), sale(8, 5.0), sale(9, 20.0)])
        assert state.checkpoint() == Checkpoint(7, None, 15)  # 5 is still needed at W = 20
        state.take([sale(10, 21.0)])
        assert state.checkpoint() == Checkpoint(9, 5.0, 15)

    def test_an_older_segment_with_a_newer_event_holds_it_back(self):
        # times       20       18       16       17       34      36
        # segments   ├── none ────────┤├── 20 ──────────┤├── 20 ────┤   needed at 34: from 19 on
        state = PartitionState(LIMITS, segment_records=2)
        state.take([sale(0, 20.0), sale(1, 18.0), sale(2, 16.0), sale(3, 17.0), sale(4, 34.0)])
        assert state.checkpoint() == Checkpoint(0, None, 15)
        state.take([sale(5, 36.0)])
        assert state.checkpoint() == Checkpoint(4, 20.0, 15)

    def test_its_watermark_counts_for_the_records_of_the_replay(self):
        state = PartitionState(LIMITS, start=Checkpoint(40, 100.0, 15))
        outcomes, _ = state.take([sale(40, 94.0), sale(41, 95.0)])
        assert [type(one) for one in outcomes] == [Refusal, Output]


# Steps of a clock, how far the event is ahead of it, StockCode, key, kind.
ARRIVALS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 0.5, 1.0, 4.0, 16.0]),
        st.sampled_from([0.0, 0.0, 0.0, -0.5, -3.0, -5.0, -5.5, -9.0, 3.0, 3.5]),
        st.integers(0, 12).map(lambda number: f"code {number % 9}"),
        st.sampled_from(["sale", "sale", "sale", "sale", "no timestamp", "malformed", "other key"]),
        st.integers(1, 3),  # offsets have gaps: markers of transactions
    ),
    min_size=1,
    max_size=80,
)


def log_of(arrivals: list[Any]) -> list[Record]:
    clock, offset, log = 1_000.0, 5, []
    for number, (step, ahead, code, kind, gap) in enumerate(arrivals):
        clock += step
        offset += gap
        one = sale(
            offset,
            clock + ahead,
            code,
            quantity=1 << (number % 40),  # each event has a bit of its own
            timestamp=NO_TIMESTAMP if kind == "no timestamp" else int(clock * 1_000),
            key=b"other" if kind == "other key" else code.encode(),
        )
        log.append(one._replace(value=b"{") if kind == "malformed" else one)
    return log


class Run:
    """Outcomes of a log, batch by batch, and the text committed after each."""

    def __init__(self, state: PartitionState, log: list[Record], batch: int) -> None:
        self.state = state
        self.outcomes: list[Output | Refusal] = []
        self.halt: Halt | None = None
        self.committed: list[tuple[int, str]] = []  # how many records, metadata
        for start in range(0, len(log), batch):
            some, self.halt = state.take(log[start : start + batch])
            self.outcomes += some
            self.committed.append((len(self.outcomes), state.checkpoint().encode()))
            if self.halt is not None:
                break


def rebuilt(text: str, log: list[Record], taken: int, batch: int, **options: Any) -> PartitionState:
    """A state made by a replay, in batches of another size."""
    checkpoint = Checkpoint.decode(text)
    assert checkpoint is not None
    state = PartitionState(LIMITS, start=checkpoint, **options)
    replay = [record for record in log[:taken] if record.offset >= checkpoint.replay_from]
    for start in range(0, len(replay), batch):
        state.absorb(replay[start : start + batch])
    return state


class TestAReplay:
    """The guarantee: a state made again gives what the one that was never lost gives."""

    @given(ARRIVALS, st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.booleans())
    def test_at_every_commit_it_is_byte_for_byte_the_same(
        self, arrivals, batch, replay_batch, segment_records, check_keys
    ):
        log = log_of(arrivals)
        options = {"segment_records": segment_records, "check_keys": check_keys}
        never_lost = Run(PartitionState(LIMITS, **options), log, batch)
        for taken, text in never_lost.committed:
            state = rebuilt(text, log, taken, replay_batch, **options)
            again = Run(state, log[taken:], batch)
            assert again.outcomes == never_lost.outcomes[taken:]
            assert taken == len(log) or again.halt == never_lost.halt
            assert again.state.watermark == never_lost.state.watermark
            assert again.state.top(20) == never_lost.state.top(20)
            assert again.state.curve("code 1", 5) == never_lost.state.curve("code 1", 5)
            assert again.state.shared_keys() == never_lost.state.shared_keys()
            if len(log) > taken and again.committed:
                assert again.committed[-1][1] == never_lost.committed[-1][1]

    @given(ARRIVALS, st.integers(1, 9), st.integers(1, 4), st.data())
    def test_lost_again_and_again(self, arrivals, batch, segment_records, data):
        log = log_of(arrivals)
        never_lost = Run(PartitionState(LIMITS), log, 1)
        state = PartitionState(LIMITS, segment_records=segment_records)
        outcomes: list[Output | Refusal] = []
        while len(outcomes) < len(log):
            some, _ = state.take(log[len(outcomes) : len(outcomes) + batch])
            outcomes += some
            if data.draw(st.booleans()):
                # Segments of another size: another version of ours may have written the text.
                size = data.draw(st.integers(1, 4))
                text = state.checkpoint().encode()
                state = rebuilt(text, log, len(outcomes), batch, segment_records=size)
        assert outcomes == never_lost.outcomes

    @given(ARRIVALS, st.integers(0, 40))
    def test_begun_earlier_than_need_be_it_is_the_same(self, arrivals, earlier):
        # By time, without a checkpoint: from the first record on.
        log = log_of(arrivals)
        never_lost = Run(PartitionState(LIMITS), log, 7)
        taken = min(earlier, len(log))
        state = PartitionState(LIMITS)
        state.absorb(log[:taken])
        assert Run(state, log[taken:], 3).outcomes == never_lost.outcomes[taken:]

    def test_a_halt_comes_again_after_a_replay(self):
        log = [sale(0, 1.0), sale(1, 2.0), sale(2, 3.0, key=b"other"), sale(3, 4.0)]
        first = Run(PartitionState(LIMITS, check_keys=True), log, 10)
        assert (len(first.outcomes), first.state.next_offset) == (2, 2)
        state = rebuilt(first.committed[-1][1], log, 2, 10, check_keys=True)
        assert Run(state, log[2:], 10).halt == first.halt

    def test_it_takes_little_more_than_what_is_needed(self):
        # 10 events a second, 15 s needed: 150 records and a segment.
        state = PartitionState(LIMITS, segment_records=20)
        for number in range(5_000):
            state.take([sale(number, number / 10, f"code {number % 50}")])
            replay = number + 1 - state.checkpoint().replay_from
            assert replay <= 151 + 20

    def test_the_outputs_of_the_replay_itself_are_not_made(self):
        state = PartitionState(LIMITS)
        assert state.absorb([sale(0, 1.0)]) is None
        outcomes, _ = state.take([sale(1, 2.0)])
        assert [json.loads(one.value)["10minutesSum"] for one in outcomes] == [2.0]
