"""Outputs as they must be against outputs as they are, while both are read.

They meet by StockCode, Epoch, timestamp and their running number among equals. What has met is
compared and forgotten; what is left at the end is missing or too much.
"""

from collections.abc import Sequence

from streaming.kafka_log.reader import Record

from .session import Session

READ = """
WITH read AS (
    SELECT at_offset, timestamp_ms, key, value, pg_temp.output(value) AS output
    FROM arrived WHERE timestamp_ms >= %(start_ms)s AND timestamp_ms < %(end_ms)s OFFSET 0
), odd AS (
    INSERT INTO differences
    SELECT CASE WHEN (output).code IS NULL THEN 'not an output' ELSE 'wrong key' END,
        %(partition)s, NULL, timestamp_ms, (output).code, (output).epoch,
        CASE WHEN (output).code IS NULL THEN 'an output' ELSE 'key ' || (output).code END,
        CASE WHEN (output).code IS NULL THEN coalesce(left(pg_temp.utf8(value), 200), 'bytes')
            ELSE 'key ' || coalesce(left(pg_temp.utf8(key), 200), 'none') END
            || ' at output ' || at_offset
    FROM read
    WHERE (output).code IS NULL OR key IS DISTINCT FROM convert_to((output).code, 'UTF8')
    RETURNING kind
), taken AS (
    INSERT INTO found
    SELECT at_offset, timestamp_ms, (output).code, (output).epoch, (output).total
    FROM read WHERE (output).code IS NOT NULL
    RETURNING 1
)
SELECT (SELECT count(*) FROM taken),
    (SELECT count(*) FROM odd WHERE kind = 'not an output'),
    (SELECT min(at_offset) FROM read)
"""
# Outputs of inputs before the range have no business after those of the range.
OLD = """
INSERT INTO differences
SELECT 'output of before the range', %(partition)s, NULL, timestamp_ms, (output).code,
    (output).epoch, NULL, trim_scale((output).total)::text || ' at output ' || at_offset
FROM (
    SELECT at_offset, timestamp_ms, pg_temp.output(value) AS output FROM arrived
    WHERE timestamp_ms < %(start_ms)s AND at_offset > %(after)s OFFSET 0
) AS old
"""
MEET = """
INSERT INTO matched
SELECT e.at_offset, f.at_offset, e.timestamp_ms, e.code, e.epoch, e.total, f.total, e.required
FROM (
    SELECT *, row_number() OVER (PARTITION BY code, epoch, timestamp_ms ORDER BY at_offset) AS n
    FROM expected
) AS e JOIN (
    SELECT *, row_number() OVER (PARTITION BY code, epoch, timestamp_ms ORDER BY at_offset) AS n
    FROM found
) AS f USING (code, epoch, timestamp_ms, n)
"""
WRONG = """
INSERT INTO differences
SELECT 'wrong sum', %(partition)s, input, timestamp_ms, code, epoch, trim_scale(expected)::text,
    trim_scale(found)::text || ' at output ' || output
FROM matched WHERE expected <> found
"""
# Of two neighbours the later input must be the later output. The last pair of the batch before is
# the first one's neighbour.
ORDER = """
INSERT INTO differences
SELECT 'out of order', %(partition)s, input, timestamp_ms, code, epoch,
    CASE WHEN input > before THEN 'after' ELSE 'before' END || ' output ' || output_before,
    'output ' || output
FROM (
    SELECT *, lag(input, 1, %(input)s::bigint) OVER by_input AS before,
        lag(output, 1, %(output)s::bigint) OVER by_input AS output_before
    FROM matched WINDOW by_input AS (ORDER BY input)
) AS pairs
WHERE (input > before) <> (output > output_before)
"""
LEFT_OVER = """
INSERT INTO differences
SELECT 'output missing', %(partition)s, at_offset, timestamp_ms, code, epoch,
    trim_scale(total)::text, NULL
FROM expected WHERE required
"""
# `accepted` has those of the last while: enough to tell doubled outputs from foreign ones.
DOUBLED = """
UPDATE found AS f SET doubled = true WHERE NOT doubled AND EXISTS (
    SELECT FROM accepted AS a WHERE a.code = f.code AND a.at = pg_temp.double(f.epoch::text)
)
"""
TOO_MUCH = """
INSERT INTO differences
SELECT CASE WHEN doubled THEN 'output doubled' ELSE 'output without input' END,
    %(partition)s, NULL, timestamp_ms, code, epoch, NULL,
    trim_scale(total)::text || ' at output ' || at_offset
FROM found
"""


class Matching:
    """Of one partition; its tables are empty when it begins."""

    def __init__(
        self, session: Session, partition: int, start_ms: int, end_ms: int, *, stamped: bool
    ) -> None:
        """`stamped`: the inputs' timestamps never go back, so those of the outputs must not."""
        self.read = 0  # outputs of the range
        self.counted = 0  # of these, that belong to inputs which are counted, or to none
        self._session = session
        self._values = {"partition": partition, "start_ms": start_ms, "end_ms": end_ms}
        self._stamped = stamped
        self._begun = False  # an output of the range was read
        self._last: tuple[int, int] = (-1, -1)

    def add(self, batch: Sequence[Record]) -> None:
        """Outputs as they are, in their order. Raises DatabaseAway."""
        session = self._session
        session.run("TRUNCATE arrived")
        session.copy(
            "arrived",
            "at_offset, timestamp_ms, key, value",
            ((each.offset, each.timestamp_ms, each.key, each.value) for each in batch),
        )
        good, bad, first = session.row(READ, self._values)
        self.read += good + bad
        self.counted += bad
        if self._stamped and (self._begun or first is not None):
            after = -1 if self._begun else first
            session.run(OLD, {**self._values, "after": after})
            self._begun = True

    def meet(self) -> None:
        """Compare what is there of both. Raises DatabaseAway."""
        session = self._session
        session.run("TRUNCATE matched")
        session.run("ANALYZE expected")
        session.run("ANALYZE found")
        if session.run(MEET):
            self._compare()
        if session.value("SELECT EXISTS (SELECT FROM found WHERE NOT doubled)"):
            session.run(DOUBLED)

    def _compare(self) -> None:
        session = self._session
        session.run(WRONG, self._values)
        input_, output = self._last
        session.run(ORDER, {**self._values, "input": input_, "output": output})
        self._last = session.row("SELECT input, output FROM matched ORDER BY input DESC LIMIT 1")
        self.counted += session.value("SELECT count(*) FROM matched WHERE required")
        session.run("DELETE FROM expected USING matched WHERE at_offset = input")
        session.run("DELETE FROM found USING matched WHERE at_offset = output")
        session.run("VACUUM expected, found")

    def end(self) -> None:
        """Nothing more will come: say what has not met. Raises DatabaseAway."""
        self._session.run(LEFT_OVER, self._values)
        self.counted += self._session.run(TOO_MUCH, self._values)
