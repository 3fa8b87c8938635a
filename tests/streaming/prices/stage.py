"""One test's topic and instances of prices on a real Kafka, and what an own script makes of it.

Reads Kafka and Redis with plain clients, never with the product's.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import redis
from kafka.errors import KafkaError
from kafka.structs import TopicPartition
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from streaming.prices import board
from streaming.prices.options import Options
from tests.consumers.processes import Process
from tests.services.waiting import until
from tests.streaming.prices import oracle
from tests.streaming.sales.kafka_stage import SESSION_MS, KafkaStage, Message


class Letter(NamedTuple):
    """A dead letter as it stands in Redis."""

    place: str
    at: int
    reason: str
    raw: bytes
    raw_bytes: int


class PricesStage(KafkaStage):
    """A topic and a group of fresh names, and a Redis of its own; `close` ends all instances."""

    def __init__(self, bootstrap: str, folder: Path, redis_url: str, **environment: str) -> None:
        """`environment`: variables of all instances."""
        super().__init__(bootstrap, folder)
        self.topic = self.input = f"{self.name}.main_topic"
        self.group = f"{self.name}.prices"
        self.redis_url = redis_url
        self.redis = redis.Redis.from_url(redis_url, retry=Retry(ConstantBackoff(0.1), 100))
        self._environment = {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "PRICES_REDIS_URL": redis_url,
            "PRICES_TOPIC": self.topic,
            "PRICES_GROUP": self.group,
            "PRICES_SESSION_TIMEOUT_MS": str(SESSION_MS),
            "PRICES_SNAPSHOT_SECONDS": "0.25",
            "CONSUMER_HEALTH_SECONDS": "0.5",
            "STOCKROOM_VAR": str(folder),
            **environment,
        }

    def options(self, **other: Any) -> Options:
        """Those of a loop in this process."""
        given: dict[str, Any] = {
            "topic": self.topic,
            "group": self.group,
            "partitions": 2,
            "session_timeout_ms": SESSION_MS,
            "batch": 2000,
            "snapshot_seconds": 1.0,
            **other,
        }
        return Options(**given)

    # The topic

    def create(self, partitions: int = 1, **settings: str) -> None:
        """Make the topic; `settings` with _ for dots."""
        configs = {name.replace("_", "."): value for name, value in settings.items()}
        with self.admin() as admin:
            admin.create_topics(
                {self.topic: {"num_partitions": partitions, "configs": configs}},
                wait_for_metadata=True,
            )

    def delete(self) -> None:
        """Delete the topic and wait until nobody knows it."""
        with self.admin() as admin:
            admin.delete_topics([self.topic])
        until(lambda: not self.partitions(self.topic))

    def recreate(self, partitions: int = 1) -> None:
        """Delete it and make it anew at once."""
        with self.admin() as admin:
            admin.delete_topics([self.topic])

            def made() -> bool:
                with suppress(KafkaError):
                    admin.create_topics({self.topic: {"num_partitions": partitions}})
                    return True
                return False

            until(made)
        until(lambda: self.partitions(self.topic) == partitions)

    def topic_id(self) -> str:
        """The id that Kafka gave the topic."""
        with self.admin() as admin:
            return str(admin.describe_topics([self.topic])[0]["topic_id"])

    def cut(self, partition: int, offset: int) -> None:
        """Delete the records before `offset`, as retention does."""
        with self.admin() as admin:
            admin.delete_records({TopicPartition(self.topic, partition): offset})

    # Instances

    def start(self, slot: str | None = None, **environment: str) -> Process:
        """Start an instance."""
        log = self._folder / f"instance{len(self.instances)}.log"
        process = Process(
            ["manage.py", "run_consumer", "prices"], {**self._environment, **environment}, log
        )
        self.instances.append(process)
        return process

    def command(self, *arguments: str) -> Process:
        """Start another command of manage.py on this topic and Redis."""
        log = self._folder / f"command{len(list(self._folder.glob('command*')))}.log"
        return Process(["manage.py", *arguments], self._environment, log)

    def snapshots(self) -> list[dict[str, Any]]:
        try:
            found = board.snapshots()
        except redis.RedisError:
            return []
        return [each for each in found if each["group"] == self.group]

    def halted(self) -> dict[int, str]:
        """Reasons by partition."""
        return {
            number: each["halted"]["reason"]
            for number, each in self.shown().items()
            if each["halted"]
        }

    # What has come of it

    def positions(self) -> dict[int, tuple[int, str]]:
        """Next offset and topic id by partition, as Redis has them."""
        prefix = f"kafka:{self.topic}:"
        found = self.redis.hgetall("prices:positions")
        return {
            int(place.decode().removeprefix(prefix)): (
                int(text.decode().split()[0]),
                text.decode().split()[1],
            )
            for place, text in found.items()
            if place.decode().startswith(prefix)
        }

    def wait_until_done(self, seconds: float = 60.0) -> None:
        """Until all that is in the topic now has been worked off."""
        wanted = {
            partition: records[-1].offset + 1
            for partition, records in self.read(self.topic).items()
            if records
        }
        self.wait_for_positions(wanted, seconds)

    def wait_for_positions(self, wanted: Mapping[int, int], seconds: float = 60.0) -> None:
        """Until they are at least `wanted`."""
        found: dict[int, tuple[int, str]] = {}

        def done() -> bool:
            self.check()
            with suppress(redis.RedisError):
                found.update(self.positions())
            return all(found.get(number, (0, ""))[0] >= at for number, at in wanted.items())

        try:
            until(done, seconds)
        except AssertionError:
            raise AssertionError(
                f"not done in {seconds} s: {found} of {wanted}; {self.snapshots()}\n{self.logs()}"
            ) from None

    def letters(self) -> list[Letter]:
        """All dead letters, as they came."""
        return [
            Letter(
                fields[b"place"].decode(),
                int(fields[b"at"]),
                fields[b"reason"].decode(),
                fields[b"raw"],
                int(fields[b"raw_bytes"]),
            )
            for _, fields in self.redis.xrange("prices:dead_letters")
        ]

    def values(self) -> dict[str, str]:
        """What stands under the key of each stock."""
        names = self.redis.zrange("prices:stocks", 0, -1)
        return {name.decode(): (self.redis.get(name) or b"").decode() for name in names}

    def assert_right(self, records: Mapping[int, Iterable[Any]] | None = None) -> int:
        """Values and dead letters are those of the script; how many rows were added.

        `records` by partition, without them all that is in the topic.
        """
        stocks, letters, added = script(self.topic, records or self.read(self.topic))
        assert self.values() == stocks.texts()
        found = [each for each in self.letters() if each.reason != "deleted"]
        right = {(place, at): (reasons, raw) for place, at, reasons, raw in letters}
        assert sorted((each.place, each.at) for each in found) == sorted(right)
        for each in found:
            reasons, raw = right[each.place, each.at]
            assert each.reason in reasons, each
            assert (each.raw, each.raw_bytes) == (raw[:4096], len(raw)), each.reason
        for partition in {each.place for each in found}:
            at = [each.at for each in found if each.place == partition]
            assert at == sorted(at)
        return added

    def close(self) -> None:
        super().close()
        self.redis.close()


def script(
    topic: str, records: Mapping[int, Iterable[Any]]
) -> tuple[oracle.Stocks, list[tuple[str, int, tuple[str, ...], bytes]], int]:
    """What an empty Redis must hold after the records, read one by one: histories, dead letters."""
    stocks = oracle.Stocks()
    letters = []
    added = 0
    for partition in sorted(records):
        for record in records[partition]:
            headers = dict(record.headers)
            source, number = headers.get("source"), headers.get("row")
            stamp = (source.decode(), int(number)) if source and number else ("", 0)
            try:
                row = oracle.row_of_message(record.value)
            except oracle.Refused as refused:
                place = f"kafka:{topic}:{partition}"
                letters.append((place, record.offset, refused.args, record.value or b""))
            else:
                added += stocks.add(row, *stamp) == "added"
    return stocks, letters, added


def price(stock: str, time: str, given: Any, partition: int | None = None) -> Message:
    """A message as publish_prices writes it, without its headers."""
    value = json.dumps({"time": time, "stock": stock, "price": given}).encode()
    return Message(value, stock.lower().encode(), partition)


def prices(
    count: int, start: int = 0, stocks: int = 4, partition: int | None = None
) -> list[Message]:
    """Rows of stock1, stock2 and so on in turn, one of ten without a price."""
    return [
        price(
            f"stock{number % stocks + 1}",
            f"{9 + number // 3600 % 12:02}{number // 60 % 60:02}{number % 60:02}",
            "" if number % 10 == 7 else 1000 + number,
            partition,
        )
        for number in range(start, start + count)
    ]
