"""Runs a partition's records through the product's state and through the oracle."""

from collections.abc import Iterable, Iterator, Sequence

from hypothesis import HealthCheck, settings

from streaming.sales.checkpoint import Checkpoint
from streaming.sales.limits import Limits
from streaming.sales.messages import Refusal
from streaming.sales.partition import Output, PartitionState
from tests.streaming.sales import oracle
from tests.streaming.sales.oracle import DeadLetter, Record

SPEC = Limits(600.0, 600.0, 300.0)
LIMITS = [
    (SPEC, 1.0),
    (Limits(600.0, 0.0, 0.0), 1.0),
    (Limits(60.0, 600.0, 3000.0), 1.0),
    (Limits(6000.0, 6.0, 300.0), 1.0),
    (Limits(0.1, 0.2, 0.3), 0.001),
    (Limits(0.3, 0.1, 1e9), 0.0005),
]
EXAMPLES = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


def expected(records: Iterable[Record], limits: Limits) -> list[oracle.Output | DeadLetter]:
    return oracle.run(
        records, limits.window_seconds, limits.lateness_seconds, limits.max_skew_seconds
    ).in_order


def with_offsets(
    records: Sequence[Record], outcomes: Sequence[Output | Refusal]
) -> Iterator[oracle.Output | DeadLetter]:
    for record, outcome in zip(records, outcomes, strict=True):
        if isinstance(outcome, Refusal):
            assert 1 <= len(outcome.detail) <= 500
            outcome.detail.encode()  # goes into a header
            yield DeadLetter(record.offset, outcome.reason)
        else:
            yield oracle.Output(record.offset, outcome.key, outcome.value)


def restarted(
    state: PartitionState, records: Sequence[Record], limits: Limits, segment_records: int
) -> PartitionState:
    """What another instance makes of the partition that this one gives up."""
    text = state.checkpoint().encode()
    start = Checkpoint.decode(text)
    assert start == state.checkpoint()
    assert start is not None
    twin = PartitionState(limits, start=start, segment_records=segment_records)
    until = state.next_offset
    assert until is not None
    replayed = [record for record in records if start.replay_from <= record.offset < until]
    middle = len(replayed) // 3
    twin.absorb(replayed[:middle])
    twin.absorb(replayed[middle:])
    assert (twin.next_offset, twin.watermark) == (until, state.watermark)
    return twin


def taken(
    records: Sequence[Record],
    limits: Limits,
    sizes: Iterable[int],
    restarts: Iterable[bool],
    segment_records: int = 1000,
) -> list[oracle.Output | DeadLetter]:
    """What the product makes of the records in pieces of `sizes`."""
    state = PartitionState(limits, segment_records=segment_records)
    found: list[oracle.Output | DeadLetter] = []
    place = 0
    for size, restart in zip(sizes, restarts, strict=False):
        piece = records[place : place + size]
        outcomes, halt = state.take(piece)
        assert halt is None
        found += with_offsets(piece, outcomes)
        place += size
        if piece:
            assert state.next_offset == piece[-1].offset + 1
        if place >= len(records):
            break
        if restart and place:
            state = restarted(state, records, limits, segment_records)
    assert place >= len(records)
    return found
