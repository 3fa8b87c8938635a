"""The newest sales sums made again, as `manage.py verify_sales` does it, of a bounded span."""

import time

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
MOST_RECORDS = 300_000  # of the input, with those before that the first windows need
SHOWN = 200
ADVICE = (
    "`manage.py verify_sales` tells all of it. If a consumer was changed or Kafka lost records,"
    " see *Check the results* in docs/sales.md."
)
SMALLER = " `manage.py verify_sales --from -15m` has no such limit."


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
    try:
        watch.say("Asking Kafka")
        seconds = _span(options)
        now_ms = round(time.time() * 1000)
        report = verify(options, now_ms - seconds * 1000, now_ms, show=SHOWN, progress=progress)
    except (Unverifiable, DatabaseAway) as error:
        raise NotChecked(str(error)) from None
    except (KafkaError, OSError) as error:
        raise NotChecked(f"It can't be checked now. {connection.in_words(error)}") from None
    return judge(report, seconds)


def judge(report: Report, seconds: int) -> Outcome:
    """What a report of the last `seconds` says. Raises NotChecked."""
    outputs = sum(each.outputs for each in report.partitions)
    letters = sum(each.dead_letters for each in report.partitions)
    outcome = Outcome(looked_at=report.inputs + outputs + letters)
    outcome.count([_finding(each) for each in report.differences], report.different)
    span = counted(seconds // 60, "minute")
    counts = (
        f"{counted(report.inputs, 'input')}, {counted(outputs, 'output')} and"
        f" {counted(letters, 'dead letter')} of the last {span}"
    )
    if not outcome.looked_at:
        outcome.summary = f"Nothing came in the last {span}, so there was nothing to make again."
    else:
        outcome.summary = f"{counts}, in {counted(len(report.partitions), 'partition')}."
    if report.exit_code == UNVERIFIED:
        remarks = [remark for each in report.partitions for remark in each.remarks]
        rest = f"Not all could be verified: {'; '.join(remarks[:3]) or 'see verify_sales'}."
        if not outcome.looked_at:
            raise NotChecked(rest)
        outcome.summary += f" {rest}"
    return outcome


def _span(options: Options) -> int:
    """The longest of SPANS_SECONDS that is read in time. Raises NotChecked, KafkaError."""
    lead = spans.first_lead_seconds(options)
    now = time.time()
    with Reader(timeout_seconds=10.0) as reader:
        end = reader.end(options.input_topic)
        if not end:
            raise NotChecked(
                f"The topic {options.input_topic} is missing: nothing was ever sold here."
            )
        for seconds in SPANS_SECONDS:
            since = reader.offsets_at(options.input_topic, round((now - seconds - lead) * 1000))
            records = sum(
                max(0, end.get(number, 0) - offset)
                for number, offset in since.items()
                if offset is not None
            )
            if records <= MOST_RECORDS:
                return seconds
    raise NotChecked(
        f"The last minute, with what its windows need, has {records:,} records: too many for a"
        f" check beside other work.{SMALLER}"
    )


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
