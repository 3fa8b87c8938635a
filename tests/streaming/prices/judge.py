"""Gives the same batches to a store and to the oracle, and compares all that is in Redis."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.services.engine import Engine
from streaming.prices import rows, store
from tests.streaming.prices import oracle

PREFIX = "prices:"
DATABASE = "9"  # of the run's Valkey; nobody else uses it
# (stock, time, price, source, number)
Given = tuple[str, str, str, str, int]


def address(engine: Engine) -> str:
    """URL of a database that only these tests use."""
    return engine.variables()["PRICES_REDIS_URL"].rpartition("/")[0] + "/" + DATABASE


@contextmanager
def empty_redis(engine: Engine) -> Iterator[redis.Redis]:
    """A client of that database, with nothing in it."""
    client = redis.Redis.from_url(address(engine), retry=Retry(NoBackoff(), 0))
    client.flushdb()
    try:
        yield client
    finally:
        client.close()


class Judge:
    """A Redis, and what must be in it."""

    def __init__(
        self,
        client: redis.Redis,
        *,
        foreign: dict[str, str] | None = None,
        not_stocks: dict[str, str] | None = None,
        kept: int = 0,
        letters_kept: int = 10_000,
    ) -> None:
        """`foreign`: values that others wrote, `not_stocks`: such that are none."""
        self.client = client
        self.kept, self.letters_kept = kept, letters_kept
        self.foreign, self.not_stocks = dict(foreign or {}), dict(not_stocks or {})
        self.oracle = oracle.Stocks(foreign, kept)
        self.oracle.not_stocks = set(self.not_stocks)
        self.positions: dict[str, str] = {}
        self.letters: list[oracle.Letter] = []
        for name, text in {**self.foreign, **self.not_stocks}.items():
            client.set(name, text)
        self.store = self.new_store()

    def new_store(self, client: redis.Redis | None = None) -> store.Store:
        """As a process that starts has it."""
        return store.Store(client or self.client, kept=self.kept, letters_kept=self.letters_kept)

    def batch(
        self, place: str, given: Sequence[Given], refused: Sequence[tuple[int, str]] = ()
    ) -> store.Batch:
        """The next of that place; `refused`: (at, reason)."""
        before = self.positions.get(place)
        begin = int(before or 0)
        return store.Batch(
            place,
            before,
            str(begin + len(given) + len(refused)),
            [
                (begin + at, rows.Row(*row), json.dumps(row).encode())
                for at, row in enumerate(given)
            ],
            [store.Refused(at, reason, "because", b"raw") for at, reason in refused],
        )

    def expect(self, batch: store.Batch) -> Counter[str]:
        """Let the oracle have it; how many rows were added, repeated and refused."""
        found: Counter[str] = Counter(refused=len(batch.refused))
        letters = [oracle.Letter(each.at, each.reason) for each in batch.refused]
        for at, row, _ in batch.rows:
            came = self.oracle.add(oracle.Row(*row[:3]), row.source, row.number)
            if came == "not_a_stock":
                letters.append(oracle.Letter(at, came))
                came = "refused"
            found[came] += 1
        self.letters += sorted(letters, key=lambda each: each.at)
        self.positions[batch.place] = batch.next
        return found

    def apply(
        self,
        place: str,
        given: Sequence[Given],
        refused: Sequence[tuple[int, str]] = (),
        by: store.Store | None = None,
    ) -> None:
        """The next batch, to both."""
        batch = self.batch(place, given, refused)
        applied = (by or self.store).apply(batch)
        expected = self.expect(batch)
        counts = (applied.added, applied.repeated, applied.refused)
        assert counts == (expected["added"], expected["repeated"], expected["refused"])
        assert applied.stocks <= {row.stock for _, row, _ in batch.rows}

    def assert_right(self) -> None:
        """Every key of this Redis is as the oracle says, to the byte."""
        expected = self.oracle.texts()
        for name, text in expected.items():
            self._is_value(name, text)
        for name, text in self.not_stocks.items():
            assert self.client.get(name) == text.encode()
        for name in self.foreign.keys() - expected.keys():  # not met yet
            found = self.client.get(name)
            assert found is not None
            assert oracle.loads(found.decode()) == oracle.loads(self.foreign[name])
        keys = {key.decode() for key in self.client.keys("*")}
        assert {key for key in keys if not key.startswith(PREFIX)} == (
            expected.keys() | self.not_stocks.keys() | self.foreign.keys()
        )
        ids = dict(self.client.zrange("prices:stocks", 0, -1, withscores=True))
        assert {name.decode() for name in ids} >= expected.keys()
        for name in expected:
            assert ids[name.encode()] == self.oracle.values[name]["id"]
        positions = self.client.hgetall("prices:positions")
        assert {k.decode(): v.decode() for k, v in positions.items()} == self.positions
        self._are_letters()
        self._is_beside(expected)

    def _is_value(self, name: str, text: str) -> None:
        found = self.client.get(name)
        assert found is not None, name
        if name in self.foreign:  # its numbers may be written in another way, but fixed is the form
            assert same(found.decode(), text), (found, text)
            assert relaid(found.decode()) == found.decode()
        else:
            assert found == text.encode()
        value = oracle.loads(found.decode())
        assert next(iter(value)) == "id" and list(value)[-3:] == ["time", "price", "performance"]
        assert len(value["time"]) == len(value["price"])

    def _are_letters(self) -> None:
        found = [
            oracle.Letter(int(fields[b"at"]), fields[b"reason"].decode())
            for _, fields in self.client.xrange("prices:dead_letters")
        ]
        assert found == self.letters[-self.letters_kept :]
        assert int(self.client.get("prices:dead_letters:count") or 0) == len(self.letters)

    def _is_beside(self, expected: dict[str, str]) -> None:
        """What pages read, and the copies of it."""
        stocks = {each.name: each for each in self.store.stocks()}
        for name in expected:
            value, latest = self.oracle.values[name], self.oracle.latest(name)
            stock = stocks[name]
            assert stock.id == value["id"]
            assert stock.count == len(value["time"])
            if latest is not None:  # else the newest price may have been cut off
                assert oracle.loads(stock.latest) == latest
            history = self.store.history(name)
            assert history is not None
            assert history.times == value["time"]
            prices = [oracle.loads(each) if each else "" for each in history.prices]
            assert prices == value["price"]
            for points in (1, 3, 1000):
                times, tokens = self.store.recent([name], points)[name]
                assert len(times) == len(tokens)
                assert times == value["time"][len(value["time"]) - len(times) :]
                assert [oracle.loads(each) if each else "" for each in tokens] == (
                    value["price"][len(value["price"]) - len(tokens) :]
                )


class _Token(str):
    """A number as it is written."""


def relaid(text: str) -> str:
    """The JSON in its order without spaces, numbers to the letter."""

    def dumped(value: Any) -> str:
        if isinstance(value, _Token):
            return str(value)
        if isinstance(value, dict):
            inner = ",".join(f"{json.dumps(name)}:{dumped(each)}" for name, each in value.items())
            return "{" + inner + "}"
        if isinstance(value, list):
            return "[" + ",".join(map(dumped, value)) + "]"
        return json.dumps(value)

    return dumped(json.loads(text, parse_int=_Token, parse_float=_Token))


def same(found: str, expected: str) -> bool:
    """Whether two texts of JSON say the same; an absent price may be written as empty."""
    return bool(oracle.loads(found) == oracle.loads(expected))


class Fault:
    """Cuts the connection at one event: before a command is sent, or before its answer is read."""

    def __init__(self, at: int) -> None:
        self.at, self.events, self.happened = at, 0, False

    def step(self) -> None:
        self.events += 1
        if self.events == self.at:
            self.happened = True
            raise (redis.TimeoutError if self.at % 2 else redis.ConnectionError)("cut by the test")


class Between(Fault):
    """Lets another work at one such event."""

    def __init__(self, at: int, work: Callable[[], object]) -> None:
        super().__init__(at)
        self._work = work

    def step(self) -> None:
        self.events += 1
        if self.events == self.at:
            self.happened = True
            self._work()


def faulty(url: str, fault: Fault) -> redis.Redis:
    """A client whose connection has that fault, and repeats nothing."""

    class Cut(redis.Connection):
        def send_packed_command(self, *arguments: Any, **options: Any) -> None:
            fault.step()
            super().send_packed_command(*arguments, **options)

        def read_response(self, *arguments: Any, **options: Any) -> Any:
            answer = super().read_response(*arguments, **options)
            fault.step()
            return answer

    pool = redis.ConnectionPool.from_url(
        url, connection_class=Cut, retry=Retry(NoBackoff(), 0), protocol=2
    )
    return redis.Redis(connection_pool=pool)


def at_once(count: int, work: Callable[[int], object]) -> None:
    """Run `work(0)` … in a thread each; the first error is raised."""
    with ThreadPoolExecutor(count) as pool:
        for each in [pool.submit(work, number) for number in range(count)]:
            each.result()


# What several files of tests need

SAMPLE = {  # redis_data.txt, as the specification gives it
    f"stock{number}": (
        f'{{"id": {number}, "price": [{price}, ""], "time": ["09:00", "09:01"], "performance": 0}}'
    )
    for number, price in ((1, 1000), (2, 450), (3, 1682))
}
USER = {"user1": '{"id": 1, "credit": 150000000}'}
A, B = "a" * 64, "b" * 64  # sources


def some(*rows: str, source: str = "", first: int = 1) -> list[Given]:
    """Rows as `stock time price`, numbered from `first`."""
    made = []
    for number, row in enumerate(rows, start=first):
        stock, time, price = (*row.split(), "")[:3]
        made.append((stock, time, price, source, number if source else 0))
    return made


def value_of(client: redis.Redis, name: str) -> Any:
    """What is under that key, as Python has it."""
    return oracle.loads((client.get(name) or b"").decode())
