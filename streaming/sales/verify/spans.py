"""What has to be read of each partition, and from when on it can be verified at all."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from streaming.kafka_log import topics
from streaming.kafka_log.reader import Reader
from streaming.sales.options import Options

from . import instants

SETTLE_SECONDS = 30.0  # transactions end within 15
POLL_SECONDS = 0.2
# Records whose outputs may be there although their commit was not when we asked for it.
IN_FLIGHT = 10_000
# Event times lag behind the broker's: by so much at no cost, by more after reading again.
USUAL_DELAY_SECONDS = 60.0
WIDER = 4  # times as long before the range, where that was not enough
MOST_BEFORE = 5_000_000  # records


class Unverifiable(Exception):
    """Nothing can be verified; says why and what to do."""


@dataclass
class Span:
    """One partition's offsets and instants. Ends are one past the last."""

    partition: int
    committed: int | None
    start_ms: int  # what can be verified begins here
    input_first: int  # the first that is still there
    input_first_ms: int | None  # its timestamp, where older ones were deleted
    input_end: int
    output_start: int
    output_end: int
    remarks: list[str] = field(default_factory=list)
    incomplete: bool = False


@dataclass(frozen=True)
class Lead:
    """Where the reading of inputs begins: before the range, for its windows."""

    start: int
    unseen: float | None  # no InvoiceDate before is above it; None where nothing is before
    wider: float | None  # seconds before the range that may help where it is not enough


@dataclass(frozen=True)
class Bounds:
    """One moment's view of the three topics."""

    spans: list[Span]
    letter_spans: dict[int, tuple[int, int]]  # of the dead-letter topic's partitions
    stamped: bool  # inputs have the broker's timestamps, which never go back


def look(
    reader: Reader, options: Options, start_ms: int, end_ms: int, wanted: Sequence[int]
) -> Bounds:
    """What there is to verify, of `wanted` or all partitions. Raises Unverifiable, KafkaError."""
    names = options.input_topic, options.output_topic, options.dead_letter_topic
    facts = _facts(names)
    counts = [each.partitions for each in facts]
    missing = [number for number in wanted if number >= counts[0]]
    if missing:
        raise Unverifiable(
            f"{names[0]} has no partition {missing[0]}: it has 0 to {counts[0] - 1}."
        )
    if counts[1] < counts[0]:
        raise Unverifiable(
            f"{names[1]} has {counts[1]} partitions, {names[0]} has {counts[0]}: it needs as many."
        )
    if facts[1].log_append_time:
        raise Unverifiable(
            f"{names[1]} has timestamps of its own, so its outputs can't be assigned to a time:"
            " set its message.timestamp.type to CreateTime."
        )
    # The order matters: outputs of what is committed are there, and inputs of all outputs too.
    committed = reader.committed(options.group, names[0])
    if not committed:
        raise Unverifiable(
            f"The group {options.group} has committed nothing in {names[0]}. Is it running?"
        )
    for name in names[1:]:
        _settle(reader, name)
    begins, ends = zip(*((reader.begin(name), reader.end(name)) for name in names[1:]), strict=True)
    begun = reader.committed(options.group, names[0])
    first, end = reader.begin(names[0]), reader.end(names[0])
    until = reader.offsets_at(names[0], end_ms)
    outputs_from = reader.offsets_at(names[1], start_ms)
    letters_from = reader.offsets_at(names[2], start_ms)
    stamped = bool(facts[0].log_append_time)
    in_flight = max(IN_FLIGHT, 2 * options.batch)
    kept = {
        number: _letters_kept_from(reader, names[2], number, begins[1], ends[1], facts[2])
        for number in ends[1]
    }
    spans = []
    for number in sorted(wanted or first):
        last = min(end[number], begun.get(number, first[number]) + in_flight)
        at_end = until.get(number)
        if stamped and at_end is not None:
            last = min(last, at_end)
        output_start = outputs_from.get(number)
        span = Span(
            partition=number,
            committed=committed.get(number),
            start_ms=start_ms,
            input_first=first[number],
            input_first_ms=None,
            input_end=last,
            output_start=ends[0][number] if output_start is None else output_start,
            output_end=ends[0][number],
        )
        _see_deleted(reader, span, names, (begins[0][number], end_ms), kept[number % counts[2]])
        spans.append(span)
    letter_spans = {
        number: (start, ends[1][number])
        for number, start in letters_from.items()
        if start is not None
    }
    return Bounds(spans, letter_spans, stamped)


def lead(reader: Reader, options: Options, span: Span, seconds: float) -> Lead:
    """From where to read so that all is known from `seconds` before the range on.

    Raises KafkaError.
    """
    since_ms = span.start_ms - round(seconds * 1000)
    found = reader.offsets_at(options.input_topic, since_ms).get(span.partition)
    start = span.input_end if found is None else max(found, span.input_first)
    if start <= span.input_first:
        start = span.input_first
        if span.input_first_ms is None:
            return Lead(start, None, None)
        since_ms = max(since_ms, span.input_first_ms)
    skew = options.limits.max_skew_seconds
    # Whoever was accepted before was not ahead of a timestamp below since_ms.
    unseen = since_ms / 1000 + skew
    wider = seconds * WIDER
    further = reader.offsets_at(options.input_topic, span.start_ms - round(wider * 1000))
    from_there = further.get(span.partition)
    can_help = (
        from_there is not None
        and start > span.input_first
        and span.input_end - from_there <= MOST_BEFORE
    )
    return Lead(start, unseen, wider if can_help else None)


def first_lead_seconds(options: Options) -> float:
    """How long before the range the reading begins at first."""
    return options.limits.kept_seconds + options.limits.max_skew_seconds + USUAL_DELAY_SECONDS


def _facts(names: Sequence[str]) -> list[topics.TopicFacts]:
    found = []
    with topics.admin() as client:
        for name in names:
            facts = topics.facts(client, name)
            if facts is None:
                raise Unverifiable(f"The topic {name} is missing.")
            found.append(facts)
    return found


def _settle(reader: Reader, topic: str) -> None:
    """Wait until what was written is committed or given up: a commit reaches partitions in turn."""
    written = reader.high(topic)
    deadline = time.monotonic() + SETTLE_SECONDS
    while any(end < written.get(number, 0) for number, end in reader.end(topic).items()):
        if time.monotonic() > deadline:
            raise Unverifiable(
                f"A transaction on {topic} has been open for {SETTLE_SECONDS:.0f} s: try again."
            )
        time.sleep(POLL_SECONDS)


def _first_ms(reader: Reader, topic: str, partition: int, begin: int, end: int) -> int | None:
    record = next(reader.read(topic, partition, begin, end), None)
    return None if record is None else record.timestamp_ms


def _letters_kept_from(
    reader: Reader,
    topic: str,
    number: int,
    begins: dict[int, int],
    ends: dict[int, int],
    facts: topics.TopicFacts,
) -> int | None:
    """From when on no dead letter can have been deleted; None where none ever was.

    They are rare, so the first one that is left says little: retention does.
    """
    if begins[number] == 0:
        return None
    first_ms = _first_ms(reader, topic, number, begins[number], ends[number])
    now_ms = round(time.time() * 1000)
    kept_ms = facts.retention_ms
    by_time = None if kept_ms is None or kept_ms < 0 else now_ms - kept_ms
    known = [each for each in (first_ms, by_time) if each is not None]
    return min(known, default=now_ms)


def _see_deleted(
    reader: Reader,
    span: Span,
    names: Sequence[str],
    outputs: tuple[int, int],
    letters_from: int | None,
) -> None:
    """Let the span begin where nothing of it was deleted; `outputs`: first offset, end of range."""
    input_topic, output_topic, letter_topic = names
    begin, end_ms = outputs
    kept: list[tuple[str, int]] = []
    if span.input_first > 0:
        first_ms = _first_ms(reader, input_topic, span.partition, span.input_first, span.input_end)
        span.input_first_ms = end_ms if first_ms is None else first_ms
        kept.append((input_topic, span.input_first_ms))
    if begin > 0:
        first_ms = _first_ms(reader, output_topic, span.partition, begin, span.output_end)
        kept.append((output_topic, end_ms if first_ms is None else first_ms))
    if letters_from is not None:
        kept.append((letter_topic, letters_from))
    for topic, kept_ms in kept:
        if kept_ms >= span.start_ms:
            until_ms = min(kept_ms + 1, end_ms)
            span.start_ms = max(span.start_ms, until_ms)
            span.incomplete = True
            span.remarks.append(
                f"not verified up to {instants.shown(until_ms)}: {topic} has deleted what was there"
            )
