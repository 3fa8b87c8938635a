"""The rolling sums of one batch, for any order of the times.

For record i the sum over the accepted records j of its StockCode with offset_j ≤ offset_i and
t_i − window ≤ t_j ≤ t_i. Those before the batch are all earlier than i in the log, so what remains
of the rule is an interval of time: the difference of two running totals over a table sorted by
time. Those of the batch itself are compared one by one.
"""

from .session import Session

# Comparisons within a batch for each sale that is kept. To sort those once more costs as much as
# about thirty comparisons of each (measured), so with more of them half a batch is faster.
PAIRS_PER_SALE = 30

PAIRS = """
SELECT coalesce(sum(records * records), 0), coalesce(sum(records), 0),
    (SELECT count(*) FROM accepted)
FROM (
    SELECT count(*) AS records FROM decided
    WHERE reason IS NULL AND at_offset BETWEEN %(first)s AND %(last)s GROUP BY code
) AS by_code
"""
WANTED = """
SELECT count(*) FROM decided
WHERE reason IS NULL AND wanted AND at_offset BETWEEN %(first)s AND %(last)s
"""
MIDDLE = """
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY at_offset) FROM decided
WHERE reason IS NULL AND at_offset BETWEEN %(first)s AND %(last)s
"""
EARLIER = """
INSERT INTO earlier
SELECT code, at, sum(sum(amount)) OVER (
    PARTITION BY code ORDER BY at ROWS UNBOUNDED PRECEDING
)
FROM accepted
WHERE at_offset < %(first)s
    AND at >= (SELECT min(at) - %(window)s::float8 FROM latest)
    AND at <= (SELECT max(at) FROM latest)
    AND code IN (SELECT code FROM latest)
GROUP BY code, at
ORDER BY code, at
"""
LATEST = """
INSERT INTO latest
SELECT at_offset, code, at, amount FROM decided
WHERE reason IS NULL AND at_offset BETWEEN %(first)s AND %(last)s
ORDER BY code, at
"""
ADD_UP = """
INSERT INTO expected
SELECT i.at_offset, i.timestamp_ms, i.code, i.epoch,
    CASE WHEN i.sure THEN
        coalesce((
            SELECT total FROM earlier AS e
            WHERE e.code = i.code AND e.at <= i.at ORDER BY e.at DESC LIMIT 1
        ), 0) - coalesce((
            SELECT total FROM earlier AS e
            WHERE e.code = i.code AND e.at < i.at - %(window)s::float8 ORDER BY e.at DESC LIMIT 1
        ), 0) + (
            SELECT sum(amount) FROM latest AS j
            WHERE j.code = i.code AND j.at_offset <= i.at_offset
                AND j.at >= i.at - %(window)s::float8 AND j.at <= i.at
        )
    END,
    i.sure AND i.at_offset < %(committed)s
FROM decided AS i
WHERE i.reason IS NULL AND i.wanted AND i.at_offset BETWEEN %(first)s AND %(last)s
"""


def add_up(session: Session, window: float, committed: int, first: int, last: int) -> None:
    """Add to `expected` the outputs of `decided`'s wanted records of offsets first to last.

    Where one StockCode has too many of them, half at a time. Raises DatabaseAway.
    """
    values = {"window": window, "committed": committed, "first": first, "last": last}
    if not session.value(WANTED, values):
        return
    pairs, records, kept = session.row(PAIRS, values)
    if pairs > kept * PAIRS_PER_SALE and records > 1:
        middle = session.value(MIDDLE, values)
        add_up(session, window, committed, first, middle)
        add_up(session, window, committed, middle + 1, last)
        return
    session.run("TRUNCATE earlier, latest")
    session.run(LATEST, values)
    session.run("VACUUM (ANALYZE) latest")  # what is vacuumed is read from the index alone
    session.run(EARLIER, values)
    session.run("ANALYZE earlier")
    session.run(ADD_UP, values)
