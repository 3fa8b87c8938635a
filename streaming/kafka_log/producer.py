"""Writes records outside of any transaction, with a bound on what is under way."""

from collections import deque
from types import TracebackType
from typing import Any, Self

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError

from . import connection
from .discarding import discard

# kafka-python has no bound of its own on what waits to be sent.
IN_FLIGHT = 20_000
SECONDS = 30.0


class Producer:
    """An idempotent producer; a context manager that flushes at its end.

    The first record that can't be delivered is raised at the next call.
    """

    def __init__(self, *, client_id: str = "stockroom-producer") -> None:
        """Raises KafkaError where no broker can be reached."""
        self._producer = KafkaProducer(
            **connection.options(),
            client_id=client_id,
            linger_ms=20,
            batch_size=256 * 1024,
            delivery_timeout_ms=round(SECONDS * 1000),
            request_timeout_ms=10_000,
            max_block_ms=10_000,
            bootstrap_timeout_ms=5_000,
            metrics_enabled=False,
        )
        self._under_way: deque[Any] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.flush()
        finally:
            discard(self._producer, 1.0)

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        headers: list[tuple[str, bytes]] | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> None:
        """Write a record; without `partition` where its key belongs. Waits while much is under way.

        Raises KafkaError for this or an earlier record.
        """
        self._under_way.append(
            self._producer.send(topic, value, key, headers, partition, timestamp_ms)
        )
        while len(self._under_way) > IN_FLIGHT or (self._under_way and self._under_way[0].is_done):
            self._wait_for(self._under_way.popleft())

    def flush(self) -> None:
        """Wait until all records are written. Raises KafkaError for the first that is not."""
        self._producer.flush(timeout=SECONDS)
        while self._under_way:
            self._wait_for(self._under_way.popleft())

    @property
    def under_way(self) -> int:
        """Records sent and not known to be written."""
        return len(self._under_way)

    def _wait_for(self, future: Any) -> None:
        try:
            future.get(timeout=SECONDS)
        except KafkaTimeoutError as error:
            raise KafkaTimeoutError(f"a record was not written in {SECONDS:g} s") from error
        except KafkaError:
            self._under_way.clear()
            raise
