"""A CSV file of prices into Kafka, step 3 of the specification. Hosted by `publish_prices`.

Each transaction has some rows, and the next one begins when it is committed: what is in the topic
is a beginning of the file, whatever was killed. A row that was left out and came later would look
repeated to the consumer, and a producer without transactions may write behind one that failed.
"""

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from streaming.kafka_log.partitions import partition_of
from streaming.kafka_log.reader import Reader
from streaming.kafka_log.transactions import Message, Transactions
from streaming.pace import Pace

from .price_file import Cells, Line, Reading
from .rows import Refusal, Row, from_cells

# Rows that wait for their transaction no longer than this, when they come slowly.
COMMIT_SECONDS = 0.25
SLICE_SECONDS = 0.1  # an end that is asked for is noticed this soon
# Records at the end of a partition that are looked through for files that came before; marks of
# transactions count.
TAIL = 20


@dataclass
class Tally:
    """What was written, and is committed."""

    rows: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # of these, by reason


class Publisher:
    """Writes rows to one topic. Methods raise KafkaError, Uncommitted and FileError."""

    def __init__(self, transactional_id: str, topic: str, *, batch: int, pace: Pace) -> None:
        """`batch`: most rows of a transaction. Fences others with the same id: they end."""
        self.tally = Tally()
        self._topic = topic
        self._batch = batch
        self._pace = pace
        self._transactions = Transactions(transactional_id, [topic])
        self._transactions.open()
        self._partitions = self._transactions.partition_count(topic)

    def run(
        self,
        reading: Reading,
        source: Callable[[Line], str],
        ended: Callable[[], bool],
        told: Callable[[int], object],
    ) -> bool:
        """Write all lines, each with its `source`; False where the end was asked for before.

        `told` hears how many rows each transaction had.
        """
        messages: dict[tuple[str, int], list[Message]] = {}
        found: list[str] = []  # reasons of refusal, "" for rows
        commit_at = 0.0
        for line in reading:
            now = time.monotonic()
            wait_seconds = self._pace.wait_seconds(now)
            if found and (len(found) >= self._batch or now + wait_seconds >= commit_at):
                told(self._commit(messages, found))
                messages, found = {}, []
            while wait_seconds > 0 and not ended():
                time.sleep(min(wait_seconds, SLICE_SECONDS))
                wait_seconds -= SLICE_SECONDS
            if ended():
                break
            key, value, reason = record(line)
            stamp = [("source", source(line).encode()), ("row", b"%d" % line.row)]
            partition = 0 if key is None else partition_of(key, self._partitions)
            batch = messages.setdefault((self._topic, partition), [])
            batch.append(Message(round(time.time() * 1000), key, value, stamp))
            if not found:
                commit_at = time.monotonic() + COMMIT_SECONDS
            found.append(reason)
        else:
            told(self._commit(messages, found))
            return True
        told(self._commit(messages, found))
        return False

    def close(self) -> None:
        """Let go of the producer."""
        self._transactions.close()

    def _commit(self, messages: dict[tuple[str, int], list[Message]], found: list[str]) -> int:
        if found:
            self._transactions.write(messages)
            self.tally.rows += len(found)
            self.tally.refused.update(reason for reason in found if reason)
        return len(found)


def record(line: Line) -> tuple[bytes | None, bytes, str]:
    """Key and value of a line, and why the consumer will refuse it, "" where it will not.

    Nothing is dropped here. Cells that make no row are sent as they stand there, so that the
    consumer finds the same fault in them; of a line without three cells it gets the text, with
    what is wrong, in a field that no row has; what is no text or too long, as it is.
    """
    cells = line.cells
    if isinstance(cells, Cells):
        key = cells.stock.strip().lower().encode() or None
        row = from_cells(*cells)
        if isinstance(row, Row):
            return key, message(row), ""
        return key, json.dumps(cells._asdict(), ensure_ascii=False).encode(), row.reason
    if cells.reason == "bad_line":
        return None, _bad_line(line.raw, cells), cells.reason
    return None, line.raw, cells.reason


def message(row: Row) -> bytes:
    """A row as JSON: {"time": "090006", "stock": "stock3", "price": 1734}, "" for no price."""
    # Names and times have nothing that JSON would escape.
    price = row.price or '""'
    return f'{{"time": "{row.time}", "stock": "{row.stock}", "price": {price}}}'.encode()


def came_before(topic: str) -> frozenset[str]:
    """Sources of the last records of a topic, which may not have been consumed yet.

    Raises KafkaError.
    """
    with Reader() as reader:
        return frozenset(
            value.decode("ascii", "replace")
            for record in reader.tail(topic, TAIL)
            for name, value in record.headers
            if name == "source" and value is not None
        )


def _bad_line(raw: bytes, refusal: Refusal) -> bytes:
    found = {"bad_line": raw.decode(), "detail": refusal.detail}
    return json.dumps(found, ensure_ascii=False).encode()
