"""Kills parts of a running Stockroom at random, by a seed."""

import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.products.imports.stack import RunningStockroom

KILL_EVERY_SECONDS = (1.0, 5.0)
VICTIMS = {"worker": 2, "pool": 3, "web": 2, "valkey": 2, "postgres": 1}
# It takes the staged rows with it, so that the whole file is read again: killed more often, it
# would let no import of this size end.
POSTGRES_KILLS = 2


class Killer:
    """Kills something every few seconds between `start` and `stop`."""

    def __init__(
        self, stockroom: RunningStockroom, seed: int, victims: Mapping[str, int] = VICTIMS
    ) -> None:
        """`victims`: how often each is killed in a turn. An engine, a process (`web`, for the
        first of its role, or `deliveries.2`), or `pool` for the worker's children."""
        self.kills: Counter[str] = Counter()
        self._stockroom = stockroom
        self._victims = victims
        self._random = random.Random(seed)
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        victims: list[str] = []
        try:
            while not self._stopping.wait(self._random.uniform(*KILL_EVERY_SECONDS)):
                if not victims:  # each in turn, so that a short run meets all of them
                    victims = [name for name, times in self._victims.items() for _ in range(times)]
                    self._random.shuffle(victims)
                if victims[-1] == "postgres" and self.kills["postgres"] == POSTGRES_KILLS:
                    victims.pop()
                    continue
                if self._kill(victims[-1]):
                    self.kills[victims.pop()] += 1
        except BaseException as error:
            self._failure = error

    def _kill(self, victim: str) -> bool:
        """SIGKILL it; False when it is down already. Engines are back on return, others later."""
        if victim in self._stockroom.stack.engines:
            self._stockroom.restart_engine(victim)
            return True
        name = "worker" if victim == "pool" else victim
        found = self._stockroom.processes(name if "." in name else f"{name}.1")
        if victim == "pool":
            del found[:1]
        self._stockroom.signal(found, signal.SIGKILL)
        return bool(found)


@contextmanager
def kills(
    stockroom: RunningStockroom, seed: int, victims: Mapping[str, int] = VICTIMS
) -> Iterator[Counter[str]]:
    """Within the block things are killed; counts by what."""
    killer = Killer(stockroom, seed, victims)
    killer.start()
    try:
        yield killer.kills
    finally:
        killer.stop()
