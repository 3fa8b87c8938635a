"""The newest sales sums made again, as `manage.py verify_sales` does it, of a bounded span."""

import time
from collections import Counter, deque
from collections.abc import Sequence
from typing import NamedTuple

from django.conf import settings
from django.urls import reverse

from config.checks.findings import Finding, NotChecked, Outcome, counted
from config.checks.watch import Watch
from streaming.kafka_log import KafkaError, connection
from streaming.kafka_log.reader import Reader
from streaming.sales.options import Options
from streaming.sales.verify import spans
from streaming.sales.verify.report import UNVERIFIED, Difference, Report
from streaming.sales.verify.session import DatabaseAway
from streaming.sales.verify.spans import Unverifiable
from streaming.sales.verify.verification import verify

SPANS_SECONDS = (3600, 900, 300, 60)  # the longest that has few enough records
# Inputs, with those before that the first windows need, and outputs. Where sales are dense, making
# them again takes about 7,700 a second: three quarters of the time that a worker gives a check.
MOST_RECORDS = 250_000
SHOWN = 200
DAY_SECONDS = 24 * 3600
ADVICE = (
    "`manage.py verify_sales` tells all of it. If a consumer was changed or Kafka lost records,"
    " see *Check the results* in docs/sales.md."
)
SMALLER = " `manage.py verify_sales --from -15m` has no such limit."


class Part(NamedTuple):
    """What is looked at: the last `seconds` of `partitions`, of all `of` where none is named."""

    seconds: int
    partitions: Sequence[int]
    of: int


def run(watch: Watch) -> Outcome:
    """Raises NotChecked."""
    options = Options.from_settings()

    def progress(records: int) -> None:
        nonlocal read
        read += records
        watch.say(f"{counted(read, 'record')} read")
        if watch.over():
            raise NotChecked(
                f"{counted(read, 'record')} were read in {watch.seconds:g} s, and there are more."
                + SMALLER
            )

    read = 0
    if not settings.KAFKA_BOOTSTRAP_SERVERS:
        return Outcome(summary="No Kafka is in use here (KAFKA_BOOTSTRAP_SERVERS is not set).")
    try:
        watch.say("Asking Kafka")
        part = _part(options, bounded=watch.seconds is not None)
        if part is None:
            none = f"The topic {options.input_topic} is empty or not there: nothing was ever sold."
            return Outcome(summary=none)
        now_ms = round(time.time() * 1000)
        start_ms = now_ms - part.seconds * 1000
        report = verify(options, start_ms, now_ms, part.partitions, show=SHOWN, progress=progress)
    except (Unverifiable, DatabaseAway) as error:
        raise NotChecked(str(error)) from None
    except (KafkaError, OSError) as error:
        raise NotChecked(f"It can't be checked now. {connection.in_words(error)}") from None
    return judge(report, part)


def judge(report: Report, part: Part) -> Outcome:
    """What a report of it says. Raises NotChecked."""
    outputs = sum(each.outputs for each in report.partitions)
    letters = sum(each.dead_letters for each in report.partitions)
    outcome = Outcome(looked_at=report.inputs + outputs + letters)
    outcome.count([_finding(each) for each in report.differences], report.different)
    span = counted(part.seconds // 60, "minute")
    counts = (
        f"{counted(report.inputs, 'input')}, {counted(outputs, 'output')} and"
        f" {counted(letters, 'dead letter')} of the last {span}"
    )
    if not outcome.looked_at:
        outcome.summary = f"Nothing came in the last {span}, so there was nothing to make again."
    else:
        number = len(report.partitions)
        outcome.summary = f"{counts}, in {counted(number, 'partition')}"
        if number < part.of:
            outcome.summary += f" of {part.of}: there is no time for more"
        outcome.summary += "."
    if report.exit_code == UNVERIFIED:
        remarks = [remark for each in report.partitions for remark in each.remarks]
        rest = f"Not all could be verified: {'; '.join(remarks[:3]) or 'see verify_sales'}."
        if not outcome.looked_at:
            raise NotChecked(rest)
        outcome.summary += f" {rest}"
    return outcome


def _part(options: Options, bounded: bool) -> Part | None:
    """The longest of SPANS_SECONDS, if `bounded` that is made again in time; None without sales.

    Where that is none, some partitions of the shortest, each day others.
    Raises NotChecked, KafkaError.
    """
    lead = spans.first_lead_seconds(options)
    now = time.time()
    with Reader(timeout_seconds=10.0) as reader:
        end = reader.end(options.input_topic)

        def since(seconds: float) -> Counter[int]:
            offsets = reader.offsets_at(options.input_topic, round((now - seconds) * 1000))
            return Counter(
                {
                    number: max(0, end.get(number, 0) - offset)
                    for number, offset in offsets.items()
                    if offset is not None
                }
            )

        if not any(end.values()):
            if any(reader.end(options.output_topic).values()):
                raise NotChecked(
                    f"The topic {options.input_topic} is missing or empty, though"
                    f" {options.output_topic}, what came of it, is not."
                )
            return None
        for seconds in SPANS_SECONDS:
            records = since(seconds + lead) + since(seconds)  # each input has an output
            if records.total() <= MOST_RECORDS or not bounded:
                return Part(seconds, [], len(end))
    numbers = deque(sorted(end))
    numbers.rotate(-int(now // DAY_SECONDS))
    left, some = MOST_RECORDS, []
    for number in numbers:
        if records[number] <= left:
            left -= records[number]
            some.append(number)
    if not some:
        raise NotChecked(
            f"The last minute of a partition, with what its windows need, has"
            f" {min(records.values()):,} records or more: too many for a check beside other work."
            + SMALLER
        )
    return Part(seconds, sorted(some), len(end))


def _finding(found: Difference) -> Finding:
    place = f"partition {found.partition}"
    if found.offset is not None:
        place += f", offset {found.offset}"
    if found.stock_code is not None:
        place += f", StockCode {found.stock_code}"
    if found.epoch is not None:
        place += f", Epoch {found.epoch}"
    expected = "nothing" if found.expected is None else found.expected
    there = "nothing" if found.found is None else found.found
    what = f"{found.kind}: expected {expected}, found {there}"
    return Finding(place, what, ADVICE, reverse("streaming:sales"))
