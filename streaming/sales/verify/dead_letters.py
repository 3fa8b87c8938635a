"""The dead letters of what is verified: loaded once, compared batch by batch of the inputs."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from streaming.kafka_log.reader import Record

from .session import Session

VALUE_BYTES = 64 * 1024  # what a dead letter keeps of its record's value

# What can be wrong with one input's dead letters; `n` of them, the first is `l`.
COMPARE = """
INSERT INTO differences
SELECT kind, %(partition)s, coalesce(d.at_offset, l.at_offset), d.timestamp_ms, d.code, d.epoch,
    expected, found
FROM (
    SELECT * FROM decided
    WHERE at_offset BETWEEN %(first)s AND %(last)s AND (reason IS NOT NULL OR at_offset IN (
        SELECT at_offset FROM letters WHERE partition = %(partition)s
    ))
) AS d FULL JOIN (
    SELECT at_offset, count(*) AS n, min(place) AS place,
        (array_agg(reason ORDER BY place))[1] AS reason,
        (array_agg(timestamp_ms ORDER BY place))[1] AS timestamp_ms,
        (array_agg(value_bytes ORDER BY place))[1] AS value_bytes,
        (array_agg(digest ORDER BY place))[1] AS digest
    FROM letters
    WHERE partition = %(partition)s AND at_offset BETWEEN %(first)s AND %(last)s
    GROUP BY at_offset
) AS l ON l.at_offset = d.at_offset
CROSS JOIN LATERAL (VALUES
    ('dead letter missing', l.n IS NULL AND d.reason IS NOT NULL AND d.at_offset < %(committed)s,
        d.reason, NULL),
    ('dead letter doubled', l.n > 1, '1', l.n || ' from ' || l.place),
    ('dead letter without input', d.at_offset IS NULL AND l.timestamp_ms >= %(start_ms)s
        AND l.timestamp_ms < %(end_ms)s, NULL, l.reason || ' at ' || l.place),
    ('dead letter of an accepted record', d.at_offset IS NOT NULL AND d.reason IS NULL
        AND (d.sure OR l.reason <> 'late'), 'an output', l.reason || ' at ' || l.place),
    ('dead letter with another reason', l.reason <> d.reason, d.reason,
        l.reason || ' at ' || l.place),
    ('dead letter of another content', d.reason IS NOT NULL AND
        (l.timestamp_ms, l.value_bytes, l.digest) <> (d.timestamp_ms, d.value_bytes, d.digest),
        'timestamp ' || d.timestamp_ms || ', ' || d.value_bytes || ' bytes as in the input',
        'timestamp ' || l.timestamp_ms || ', ' || l.value_bytes || ' bytes'
            || CASE WHEN l.digest <> d.digest THEN ' that differ' ELSE '' END || ' at ' || l.place)
) AS checks (kind, holds, expected, found)
WHERE holds AND (d.wanted OR d.at_offset IS NULL)
    AND (l.n IS NOT NULL OR kind = 'dead letter missing')
"""
COUNT = """
SELECT count(*) FROM letters AS l JOIN decided AS d USING (at_offset)
WHERE l.partition = %(partition)s AND d.wanted AND d.at_offset < %(committed)s
    AND (d.reason IS NOT NULL OR d.sure)
"""


class Letter(NamedTuple):
    """What is kept of a dead letter, in the order of the table's columns."""

    partition: int
    at_offset: int
    reason: str
    timestamp_ms: int
    value_bytes: int
    digest: str
    place: str  # where the dead letter is: partition and offset


def read(record: Record, topic: str) -> Letter | None:
    """The dead letter in a record; None where it is of another topic, or none of ours."""
    headers = {name: value.decode("utf-8", "backslashreplace") for name, value in record.headers}
    try:
        if headers["topic"] != topic:
            return None
        return Letter(
            int(headers["partition"]),
            int(headers["offset"]),
            headers["reason"],
            int(headers["timestamp"]),
            int(headers["value_bytes"]),
            hashlib.md5(record.value or b"", usedforsecurity=False).hexdigest(),
            f"dead letter {record.partition}/{record.offset}",
        )
    except (KeyError, ValueError):
        return None


def load(
    session: Session, records: Iterable[Record], topic: str, spans: Mapping[int, tuple[int, int]]
) -> None:
    """Keep those about offsets of `spans`: by partition the first and the one after the last.

    Raises DatabaseAway, KafkaError.
    """
    letters = []
    for record in records:
        letter = read(record, topic)
        if letter is None:
            continue
        first, end = spans.get(letter.partition, (0, 0))
        if first <= letter.at_offset < end:
            letters.append(letter)
    if letters:
        session.copy("letters", ", ".join(Letter._fields), letters)


def compare(
    session: Session, partition: int, bounds: tuple[int, int], when: tuple[int, int], committed: int
) -> int:
    """Compare those about offsets `bounds` (first, last) with `decided`. Returns how many count.

    `when`: timestamps from and to below which inputs are verified. Raises DatabaseAway.
    """
    values = {
        "partition": partition,
        "first": bounds[0],
        "last": bounds[1],
        "start_ms": when[0],
        "end_ms": when[1],
        "committed": committed,
    }
    session.run(COMPARE, values)
    return int(session.value(COUNT, values))
