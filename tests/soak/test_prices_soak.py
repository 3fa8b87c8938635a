"""Prices at length: 1,000,000 rows while instances, publisher, Valkey and Kafka are killed."""

import json
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
import redis
from kafka.errors import KafkaError

from config.services.engine import Engine
from streaming.prices.store import Store
from tests.consumers.processes import Process
from tests.services.waiting import until
from tests.streaming.prices import oracle
from tests.streaming.prices.stage import PricesStage, script
from tests.streaming.sales.chaos import Chaos, Feeder
from tests.streaming.sales.kafka_stage import Message

pytestmark = pytest.mark.soak

ROWS = 1_000_000
STOCKS = 200
FILE_ROWS = 50_000
FILE_STOCKS = 10
PARTITIONS = 8
RATE = 4_000.0
FAULTS = 30
ENGINE_KILLS = 5  # of each
PUBLISHER_KILLS = 4
VICTIMS = ("kafka", "valkey", "valkey", "publisher", *5 * ["instance"])
SEED = 20261122
READ_SECONDS = 600.0


def stream(seed: int) -> Iterator[Message]:
    """Without end: rows of all stocks, one in a hundred without a price, some that are none."""
    rng = random.Random(seed)
    for number in count():
        stock = f"stock{rng.randrange(STOCKS) + 1}"
        second = number % 86_400
        time_ = f"{second // 3600:02}{second // 60 % 60:02}{second % 60:02}"
        price: object = rng.choice([number % 5000, number / 4, ""])
        value = json.dumps({"time": time_, "stock": stock, "price": price}).encode()
        if rng.random() < 0.003:
            bad = {"time": number, "stock": stock, "price": -1}
            value = rng.choice([b"", b"no row", b"\xff", json.dumps(bad).encode()])
        yield Message(value, stock.encode())


def write_file(path: Path) -> None:
    """Rows of stocks that the stream does not have."""
    rng = random.Random(SEED)
    with path.open("w") as file:
        file.write("Time,Stock,Price\n")
        for number in range(FILE_ROWS):
            second = number % 86_400
            time_ = f"{second // 3600:02}{second // 60 % 60:02}{second % 60:02}"
            file.write(f"{time_},Stock{1001 + rng.randrange(FILE_STOCKS)},{number}\n")


class Publishing:
    """`publish_prices` of the file, killed when it is said, and started until it has ended well."""

    def __init__(self, stage: PricesStage, path: Path) -> None:
        self.kills = 0
        self._stage = stage
        self._path = path
        self._process = self._start()

    def _start(self) -> Process:
        # It begins at the first row each time, so it must be able to end between two kills.
        return self._stage.command("publish_prices", str(self._path))

    def kill(self) -> None:
        if self._process.child.poll() is None:
            self._process.send(signal.SIGKILL)
            self._process.child.wait(10)
            self.kills += 1

    def done(self) -> bool:
        """Starts it again where it has ended otherwise."""
        code = self._process.child.poll()
        if code not in (None, 0):
            # Killed, or with Kafka or Valkey away, which it says.
            assert code in (-9, 1), self._process.log
            assert "Traceback" not in self._process.log, self._process.log
            self._process = self._start()
        return code == 0

    def end(self) -> None:
        if self._process.child.poll() is None:
            self._process.send(signal.SIGKILL)
            self._process.child.wait(10)


class Performance:
    """Sets performances all the time, as the tasks of each minute do; a second here is one."""

    def __init__(self, url: str) -> None:
        self.finished = 0
        self._client = redis.Redis.from_url(url, socket_timeout=10)
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._client.close()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        store = Store(self._client)
        try:
            for minute in count(1):
                with suppress(redis.RedisError):
                    for asked in store.ask(minute):
                        if store.begin(asked):
                            self.finished += store.finish(asked, str(minute * 7919), 0.1)
                if self._stopping.wait(1.0):
                    return
        except BaseException as error:
            self._failure = error


def test_a_million_rows_and_many_faults(
    own_kafka: Callable[[], Engine], own_valkey: Callable[[], Engine], tmp_path: Path
) -> None:
    kafka, valkey = own_kafka(), own_valkey()
    stage = PricesStage(
        kafka.variables()["KAFKA_BOOTSTRAP_SERVERS"],
        tmp_path,
        valkey.variables()["PRICES_REDIS_URL"],
        PRICES_DEAD_LETTERS_KEPT="1000000",  # all, so that all can be compared
    )
    rng = random.Random(SEED)
    kills = {"kafka": 0, "valkey": 0}

    def restart(engine: Engine, pause: float) -> None:
        kills[engine.name] += 1
        engine.kill()
        time.sleep(pause)  # away for a while, as a machine is that starts again
        engine.start()

    path = tmp_path / "file.csv"
    write_file(path)
    try:
        stage.create(PARTITIONS)
        feeder = Feeder(stage, stream(SEED), RATE)
        chaos = Chaos(stage, SEED, [None, None, None])
        publishing = Publishing(stage, path)
        performance = Performance(stage.redis_url)
        feeder.start()
        performance.start()
        try:
            until(stage.positions, 120)
            published = False
            victims: list[str] = []
            while (
                feeder.sent < ROWS
                or not published
                or chaos.faults.total() < FAULTS
                or min(kills.values()) < ENGINE_KILLS
            ):
                chaos.wait(rng.uniform(0.5, 8))
                if not victims:  # each in turn, so that all come often enough
                    victims = [*VICTIMS]
                    rng.shuffle(victims)
                match victims.pop():
                    case "kafka":
                        restart(kafka, rng.uniform(0, 3))
                    case "valkey":
                        restart(valkey, rng.uniform(0, 3))
                    case "publisher":
                        if publishing.kills < PUBLISHER_KILLS:
                            publishing.kill()
                    case _:
                        chaos.any()
                published = publishing.done()
            chaos.end()
        finally:
            feeder.stop()
            performance.stop()
            publishing.end()
        records = stage.read(stage.topic, READ_SECONDS)
        stage.wait_for_positions(
            {number: each[-1].offset + 1 for number, each in records.items() if each}, 300
        )
        stocks, letters, added = script(stage.topic, records)

        found = stage.values()
        for name, value in stocks.values.items():  # theirs is set by another
            value["performance"] = oracle.loads(found[name])["performance"]
        right = stocks.texts()
        assert found.keys() == right.keys()
        assert [name for name in right if found[name] != right[name]] == []
        in_redis = {(each.place, each.at): each.reason for each in stage.letters()}
        assert len(in_redis) == len(stage.letters())
        assert {(place, at) for place, at, _, _ in letters} == in_redis.keys()
        with path.open() as file:
            of_file, _ = oracle.read_file(file)
        for name, value in of_file.values.items():  # each row of the file once
            assert oracle.loads(found[name])["time"] == value["time"]
            assert oracle.loads(found[name])["price"] == value["price"]
        print(
            f"{sum(map(len, records.values()))} messages, {added} rows, {len(letters)} dead"
            f" letters, {performance.finished} performances; {dict(chaos.faults)}, {kills},"
            f" {publishing.kills} kills of the publisher; {len(chaos.crashes)} crashes"
        )
        assert chaos.crashes == [], chaos.crashes[0][-3000:]
        assert added > 0.9 * (ROWS + FILE_ROWS)
    except (AssertionError, KafkaError):
        print(stage.logs()[-20_000:])
        raise
    finally:
        stage.close()
