"""Which inputs are accepted, decided in PostgreSQL batch by batch, in the order of the log."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

from streaming.kafka_log.reader import Record
from streaming.sales.limits import Limits

from .session import Session

# The greatest time before a record may come from refused late records too: these are below the
# greatest accepted one anyhow.
DECIDE = """
INSERT INTO decided
WITH read AS (
    SELECT at_offset, timestamp_ms, value, pg_temp.sale(value) AS sale FROM arrived OFFSET 0
), stamped AS (
    SELECT at_offset, timestamp_ms, value,
        (sale).code, (sale).at, (sale).epoch, (sale).amount,
        CASE WHEN (sale).reason IS NULL AND timestamp_ms >= 0
                AND (sale).at > timestamp_ms::float8 / 1000 + %(skew)s::float8
            THEN 'ahead' ELSE (sale).reason END AS reason
    FROM read
), followed AS (
    SELECT *, greatest(%(watermark)s::float8, max(at) FILTER (WHERE reason IS NULL) OVER (
        ORDER BY at_offset ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )) AS watermark
    FROM stamped
), judged AS (
    SELECT *, CASE WHEN reason IS NULL AND at < watermark - %(lateness)s::float8
        THEN 'late' ELSE reason END AS verdict
    FROM followed
)
SELECT at_offset, timestamp_ms, verdict, code, at, epoch, amount,
    coalesce(length(value), 0),
    CASE WHEN verdict IS NOT NULL THEN md5(coalesce(substr(value, 1, 65536), '')) END,
    timestamp_ms >= %(start_ms)s AND timestamp_ms < %(end_ms)s,
    verdict IS NOT NULL OR %(unseen)s::float8 IS NULL
        OR at - %(window)s::float8 > %(unseen)s::float8
FROM judged
"""
ACCEPT = """
INSERT INTO accepted SELECT at_offset, code, at, amount FROM decided WHERE reason IS NULL
"""
COUNT = """
SELECT greatest(%(watermark)s::float8, max(at) FILTER (WHERE reason IS NULL)),
    count(*) FILTER (WHERE wanted AND reason IS NULL AND sure AND at_offset < %(committed)s),
    count(*) FILTER (WHERE wanted AND reason IS NOT NULL AND at_offset < %(committed)s),
    count(*) FILTER (WHERE wanted AND NOT sure AND at_offset < %(committed)s),
    count(*) FILTER (WHERE wanted AND reason IS NULL),
    count(*) FILTER (WHERE wanted)
FROM decided
"""


@dataclass(frozen=True)
class Range:
    """Of one partition: timestamps from `start_ms` to below `end_ms`, offsets below `committed`.

    `unseen`: no InvoiceDate before what is read is above this; None where nothing is before it.
    """

    start_ms: int
    end_ms: int
    committed: int
    unseen: float | None


@dataclass(frozen=True)
class Counts:
    """Of records of the range. The first three count committed ones only."""

    accepted: int = 0
    refused: int = 0
    unknown: int = 0  # what was before may change their sum, or whether they are accepted
    outputs: int = 0  # may have an output
    wanted: int = 0  # all

    def plus(self, other: "Counts") -> "Counts":
        """Both together."""
        return Counts(*map(sum, zip(astuple(self), astuple(other), strict=True)))


class Decisions:
    """Follows one partition's log; the tables are empty when it begins."""

    def __init__(self, session: Session, limits: Limits, wanted: Range) -> None:
        self.watermark: float | None = None
        self._session = session
        self._limits = limits
        self._wanted = wanted
        self._live = 0  # rows of `accepted` when it was last cleared
        self._added = 0

    def decide(self, batch: Sequence[Record]) -> Counts:
        """`decided` is that of this batch then, `accepted` has it too. Raises DatabaseAway."""
        session, limits, wanted = self._session, self._limits, self._wanted
        session.run("TRUNCATE arrived, decided")
        session.copy(
            "arrived",
            "at_offset, timestamp_ms, value",
            ((each.offset, each.timestamp_ms, each.value) for each in batch),
        )
        values = {
            "skew": limits.max_skew_seconds,
            "lateness": limits.lateness_seconds,
            "window": limits.window_seconds,
            "watermark": self.watermark,
            "start_ms": wanted.start_ms,
            "end_ms": wanted.end_ms,
            "unseen": wanted.unseen,
            "committed": wanted.committed,
        }
        session.run(DECIDE, values)
        session.run("ANALYZE decided")
        self._added += session.run(ACCEPT)
        self.watermark, *counts = session.row(COUNT, values)
        return Counts(*counts)

    def forget(self) -> None:
        """Delete what no later sum can hold, as soon as it may be half of all."""
        if self.watermark is None or self._added <= self._live:
            return
        self._session.run(
            "DELETE FROM accepted WHERE at < %(watermark)s::float8 - %(lateness)s - %(window)s",
            {
                "watermark": self.watermark,
                "lateness": self._limits.lateness_seconds,
                "window": self._limits.window_seconds,
            },
        )
        self._session.run("VACUUM (ANALYZE) accepted")
        self._live, self._added = self._session.value("SELECT count(*) FROM accepted"), 0
