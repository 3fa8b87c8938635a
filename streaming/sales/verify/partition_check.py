"""Verifies one partition: inputs and outputs are read side by side, in bounded batches."""

from collections.abc import Callable, Iterator

from streaming.kafka_log.reader import Reader, Record
from streaming.sales.options import Options

from . import dead_letters, spans, sums
from .batches import batches
from .decisions import Counts, Decisions, Range
from .matching import Matching
from .report import PartitionReport
from .session import Session
from .spans import Lead, Span

TABLES = "arrived, decided, accepted, earlier, latest, expected, found, matched"
# Where timestamps can go back, so many in a row at or after the end of the range are its end.
BEYOND = 10_000


class TooLittleBefore(Exception):
    """Records before those that were read may matter."""


class PartitionCheck:
    """One partition from beginning to end; its dead letters are loaded already."""

    def __init__(
        self,
        reader: Reader,
        session: Session,
        options: Options,
        span: Span,
        *,
        end_ms: int,
        stamped: bool,
        progress: Callable[[int], None],
    ) -> None:
        """`end_ms` ends the range; `stamped`: see spans.Bounds; `progress` is told records read."""
        self._reader = reader
        self._session = session
        self._options = options
        self._span = span
        self._end_ms = end_ms
        self._stamped = stamped
        self._progress = progress

    def run(self) -> PartitionReport:
        """Raises DatabaseAway, KafkaError."""
        span = self._span
        report = PartitionReport(
            span.partition, remarks=list(span.remarks), incomplete=span.incomplete
        )
        if span.committed is None:
            report.remarks.append("the group has committed nothing here yet")
            return report
        seconds = spans.first_lead_seconds(self._options)
        while span.start_ms < self._end_ms:
            lead = spans.lead(self._reader, self._options, span, seconds)
            try:
                self._follow(lead, report)
                break
            except TooLittleBefore:
                assert lead.wider is not None
                seconds = lead.wider
        found = self._session.rows(
            "SELECT kind, count(*) FROM differences WHERE partition = %(partition)s GROUP BY kind",
            {"partition": span.partition},
        )
        report.differences = dict(found)
        return report

    def _follow(self, lead: Lead, report: PartitionReport) -> None:
        """Read all of it once. Raises TooLittleBefore where reading from further back can help."""
        span, session, limits = self._span, self._session, self._options.limits
        assert span.committed is not None
        session.run(f"TRUNCATE {TABLES}")
        session.run(
            "DELETE FROM differences WHERE partition = %(partition)s", {"partition": span.partition}
        )
        when = (span.start_ms, self._end_ms)
        decisions = Decisions(session, limits, Range(*when, span.committed, lead.unseen))
        matching = Matching(session, span.partition, *when, stamped=self._stamped)
        outputs = self._outputs()
        totals = Counts()
        letters = wanted_outputs = 0
        seen = lead.start
        for batch in self._inputs(lead.start):
            counts = decisions.decide(batch)
            if counts.unknown and lead.wider is not None:
                raise TooLittleBefore
            bounds = (seen, batch[-1].offset)
            seen = batch[-1].offset + 1
            if counts.wanted:
                sums.add_up(session, limits.window_seconds, span.committed, *bounds)
                letters += dead_letters.compare(
                    session, span.partition, bounds, when, span.committed
                )
                wanted_outputs += counts.outputs
                self._meet(matching, outputs, wanted_outputs)
            totals = totals.plus(counts)
            decisions.forget()
        if self._stamped and seen < span.input_end:
            session.run("TRUNCATE decided")
            dead_letters.compare(
                session, span.partition, (seen, span.input_end), when, span.committed
            )
        for outputs_left in outputs:
            matching.add(outputs_left)
            matching.meet()
        matching.end()
        report.accepted, report.refused = totals.accepted, totals.refused
        report.outputs, report.dead_letters = matching.counted, letters
        if totals.unknown:
            self._say_unknown(totals.unknown, report)

    def _meet(self, matching: Matching, outputs: Iterator[list[Record]], wanted: int) -> None:
        """Read outputs until there are as many as inputs that have one; compare."""
        while matching.read < wanted:
            batch = next(outputs, None)
            if batch is None:
                break
            matching.add(batch)
        matching.meet()

    def _inputs(self, start: int) -> Iterator[list[Record]]:
        span = self._span
        found = batches(
            self._reader, self._options.input_topic, span.partition, start, span.input_end
        )
        return self._told(found if self._stamped else self._until_beyond(found))

    def _outputs(self) -> Iterator[list[Record]]:
        span = self._span
        topic = self._options.output_topic
        found = batches(self._reader, topic, span.partition, span.output_start, span.output_end)
        return self._told(self._until_beyond(found))

    def _until_beyond(self, found: Iterator[list[Record]]) -> Iterator[list[Record]]:
        """Marks of transactions are younger than their records: Kafka can't tell where it ends."""
        beyond = 0
        for batch in found:
            yield batch
            for record in batch:
                beyond = beyond + 1 if record.timestamp_ms >= self._end_ms else 0
            if beyond >= BEYOND:
                return

    def _told(self, found: Iterator[list[Record]]) -> Iterator[list[Record]]:
        for batch in found:
            yield batch
            self._progress(len(batch))

    def _say_unknown(self, unknown: int, report: PartitionReport) -> None:
        first = self._span.input_first
        report.unknown, report.incomplete = unknown, True
        report.remarks.append(
            f"{unknown:,} inputs could not be verified: they need what was before offset {first}"
            f" ({self._options.input_topic} has deleted it), or more than"
            f" {spans.MOST_BEFORE:,} records before the range"
        )
