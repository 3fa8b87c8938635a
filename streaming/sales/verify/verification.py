"""The whole verification: what sales has put out against what it had to. See docs/sales.md."""

from collections.abc import Callable, Sequence

from streaming.kafka_log.reader import Reader
from streaming.sales.options import Options

from . import dead_letters, spans
from .batches import batches
from .partition_check import PartitionCheck
from .report import Difference, Report
from .session import Session

FIRST = """
SELECT kind, partition, at_offset, code, epoch::text, expected, found FROM differences
ORDER BY partition, timestamp_ms, at_offset, kind LIMIT %(show)s
"""


def verify(
    options: Options,
    start_ms: int,
    end_ms: int,
    partitions: Sequence[int] = (),
    *,
    show: int = 20,
    progress: Callable[[int], None] = lambda records: None,
) -> Report:
    """Compare what came of the inputs with broker timestamps from `start_ms` to below `end_ms`.

    Only inputs that the group has committed count. Of all partitions where none is named; the first
    `show` differences are told one by one; `progress` is told of each batch how many were read.
    Raises Unverifiable, DatabaseAway, KafkaError, connection.Unusable.
    """
    with Session() as session, Reader() as reader:
        bounds = spans.look(reader, options, start_ms, end_ms, partitions)
        about = {each.partition: (each.input_first, each.input_end) for each in bounds.spans}
        letters = options.dead_letter_topic
        for number, (start, end) in sorted(bounds.letter_spans.items()):
            for batch in batches(reader, letters, number, start, end):
                dead_letters.load(session, batch, options.input_topic, about)
                progress(len(batch))
        session.run("ANALYZE letters")
        reports = [
            PartitionCheck(
                reader,
                session,
                options,
                span,
                end_ms=end_ms,
                stamped=bounds.stamped,
                progress=progress,
            ).run()
            for span in bounds.spans
        ]
        differences = [Difference(*row) for row in session.rows(FIRST, {"show": show})]
    heading = f"{options.input_topic} → {options.output_topic} and {letters}, group {options.group}"
    return Report(heading, start_ms, end_ms, reports, differences)
