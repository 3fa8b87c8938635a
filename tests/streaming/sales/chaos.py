"""Faults by a seed, while a stream of sales with all that can be wrong is produced."""

import json
import math
import random
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from tests.streaming.sales.kafka_stage import KafkaStage, Message, sale

T0 = 1_674_744_306.978004
STOPPED_SECONDS = 5.0  # longer than the session
STUCK_SECONDS = 8.0
BACK_SECONDS = 60.0


def stream(seed: int, codes: int = 40, seconds: float = 0.1) -> Iterator[Message]:
    """Without end: rising by `seconds` each, with late, too late, malformed and future ones."""
    rng = random.Random(seed)
    now = T0
    while True:
        now += seconds
        code = f"{rng.randrange(codes)}é"
        time_ = now
        kind = rng.random()
        if kind < 0.10:
            time_ -= rng.uniform(0, 600)
        elif kind < 0.13:
            time_ -= rng.uniform(600, 2000)
        elif kind < 0.14:
            time_ = 4e9
        elif kind < 0.20:
            time_ = float(int(now))
        value: bytes | None = sale(code, time_, rng.randint(-5, 20), rng.randrange(5000) / 100)
        if kind > 0.99:
            value = rng.choice(
                [None, b"", b"no sale", b"\xff", json.dumps({"StockCode": code}).encode()]
            )
        elif kind > 0.98:
            value = sale(code, time_, rng.choice([float("nan"), 1e-9, 1e300]))
        yield Message(value, code.encode())


class Feeder:
    """Produces a stream in a thread of its own, about `rate` a second, until `stop`.

    Also while the broker comes and goes: what counts is what is in the topic in the end.
    """

    def __init__(self, stage: KafkaStage, messages: Iterator[Message], rate: float) -> None:
        self.sent = 0
        self._stage = stage
        self._messages = messages
        self._rate = rate
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """No more is written after this."""
        self._stopping.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            self._produce()
        except BaseException as error:
            self._failure = error

    def _produce(self) -> None:
        producer = self._producer()
        under_way: deque[tuple[float, Any]] = deque()
        begun = time.monotonic()
        try:
            while not self._stopping.wait(0.02):
                while (
                    self.sent < (time.monotonic() - begun) * self._rate
                    and not self._stopping.is_set()
                ):
                    each = next(self._messages)
                    future = producer.send(self._stage.input, each.value, each.key)
                    under_way.append((time.monotonic(), future))
                    self.sent += 1
                while under_way and under_way[0][1].is_done:
                    under_way.popleft()
                if under_way and time.monotonic() - under_way[0][0] > STUCK_SECONDS:
                    # The broker was away. What is lost here was never in the topic.
                    self._close(producer, 0.1)
                    under_way.clear()
                    producer = self._producer()
        finally:
            self._close(producer, STUCK_SECONDS)

    def _producer(self) -> KafkaProducer:
        # The stream may end while the broker is still coming back.
        deadline = math.inf
        while True:
            try:
                return self._stage.producer(bootstrap_timeout_ms=2000)
            except KafkaError:
                if self._stopping.is_set():
                    deadline = min(deadline, time.monotonic() + BACK_SECONDS)
                if time.monotonic() > deadline:
                    raise

    @staticmethod
    def _close(producer: KafkaProducer, seconds: float) -> None:
        with suppress(KafkaError):
            producer.close(timeout=seconds)
        # Where its flush fails, the library leaves the thread behind, which goes on writing.
        producer._sender.force_close()
        producer._sender.join()
        producer._closed = True  # else it would flush once more when it is collected


class Chaos:
    """Instances that are killed and frozen; those that end are started again, as a supervisor
    does."""

    def __init__(self, stage: KafkaStage, seed: int, slots: Sequence[str | None]) -> None:
        """`slots`: SALES_INSTANCE of each, None for none."""
        self.faults: Counter[str] = Counter()
        self.crashes: list[str] = []  # logs
        self._stage = stage
        self._random = random.Random(seed)
        self._slots = list(slots)
        self._running = [stage.start(slot) for slot in slots]
        self._frozen: dict[int, float] = {}  # number of an instance: until when

    def wait(self, seconds: float) -> None:
        """Let it go on, with what is due meanwhile."""
        until = time.monotonic() + seconds
        while (now := time.monotonic()) < until:
            for number in [each for each, end in self._frozen.items() if end <= now]:
                self._thaw(number)
            for number, process in enumerate(self._running):
                if process.child.poll() is not None:
                    self.crashes.append(process.log)
                    self._running[number] = self._stage.start(self._slots[number])
            time.sleep(0.02)

    def freeze(self) -> None:
        """SIGSTOP for longer than the session."""
        number = self._victim()
        self._running[number].send(signal.SIGSTOP)
        self._frozen[number] = time.monotonic() + STOPPED_SECONDS
        self.faults["SIGSTOP"] += 1

    def kill(self) -> None:
        """SIGKILL, and a new one at once."""
        number = self._victim()
        process = self._running[number]
        process.send(signal.SIGKILL)
        process.exit_code()
        self._running[number] = self._stage.start(self._slots[number])
        self.faults["SIGKILL"] += 1

    def any(self, others: dict[str, Callable[[], None]] | None = None) -> None:
        """One fault by chance; `others` beside these two."""
        kinds = {"freeze": self.freeze, "kill": self.kill}
        for name, action in (others or {}).items():
            kinds[name] = action
        name = self._random.choice(sorted(kinds))
        kinds[name]()
        if name not in ("freeze", "kill"):
            self.faults[name] += 1

    def end(self) -> None:
        """No more faults."""
        for number in list(self._frozen):
            self.wait(max(0.0, self._frozen[number] - time.monotonic()) + 0.05)

    def _victim(self) -> int:
        numbers = [each for each in range(len(self._running)) if each not in self._frozen]
        return self._random.choice(numbers)

    def _thaw(self, number: int) -> None:
        del self._frozen[number]
        self._running[number].send(signal.SIGCONT)


def committed_total(stage: KafkaStage, partitions: int) -> int:
    try:
        return sum(stage.committed(partitions).values())
    except KafkaError:
        return 0
