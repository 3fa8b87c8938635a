"""Performance at real minutes: 100 stocks of 3 seconds in each, kills, a freeze, a server away."""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from config.services.stack import Stack
from streaming.prices.stocks import Stock
from tests.services.waiting import until
from tests.streaming.prices import functions
from tests.streaming.prices.calculating import Prices

pytestmark = pytest.mark.soak

STOCKS = 100
PROCESSES = 8
# A price tells its stock: number × this + how many prices it had before.
EACH = 1_000_000
QUIET, BACK, BUSY = range(1, 21), range(21, 41), range(41, 101)
UPDATES = 170
MINUTE = 60


@pytest.fixture
def stack() -> Iterator[Stack]:
    with TemporaryDirectory(prefix="stockroom-running-") as folder:
        with Stack(
            Path(folder),
            {
                "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",  # of which nothing is asked
                "CELERY_SKIP_CHECKS": "1",
                "PRICES_PERFORMANCE": "tests.streaming.prices.functions.counted",
                "PRICES_PERFORMANCE_PROCESSES": str(PROCESSES),
            },
            roles=("performance", "performance", "beat"),
            engines=("valkey",),
            port=0,
        ) as stack:
            stack.start_engines()
            stack.leave_engine("valkey")
            yield stack


class Minutes:
    """Feeds the stocks and looks at what was calculated."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.prices = Prices(stack.environment["PRICES_REDIS_URL"])
        self.fed: dict[str, list[int]] = {f"stock{number}": [] for number in range(1, STOCKS + 1)}

    def price(self, number: int) -> int:
        """A price that this stock has not had."""
        return number * EACH + len(self.fed[f"stock{number}"])

    def feed(self, pairs: list[tuple[int, int]]) -> None:
        self.prices.apply([(f"stock{number}", price) for number, price in pairs])
        for number, price in pairs:
            self.fed[f"stock{number}"].append(price)

    def stocks(self) -> list[Stock]:
        return self.prices.store.stocks()

    def calls(self) -> list[tuple[int, float, int]]:
        """Price, time and process of each call."""
        found = [each.split() for each in self.prices.client.lrange(functions.CALLS, 0, -1)]
        return [(int(price), float(at), int(pid)) for price, at, pid in found]

    def tree(self, name: str) -> list[psutil.Process]:
        pid = self.stack.processes[name].pid
        assert pid is not None
        leader = psutil.Process(pid)
        return [leader, *leader.children(recursive=True)]

    def signal(self, processes: list[psutil.Process], number: signal.Signals) -> None:
        for each in processes:
            with suppress(psutil.NoSuchProcess):
                each.send_signal(number)

    def log(self) -> str:
        folder = self.stack.var_dir / "log"
        return "\n".join(
            line
            for name in ("performance.1", "performance.2", "beat.1")
            if (folder / f"{name}.log").exists()
            for line in (folder / f"{name}.log").read_text(errors="replace").splitlines()
            if " I " not in line
        )[-8000:]


def until_second(second: int) -> None:
    """Sleep until the clock is there in a minute, this or the next."""
    time.sleep((second - time.time()) % MINUTE)


def test_every_minute_is_kept_whatever_happens(stack: Stack) -> None:
    minutes = Minutes(stack)
    stack.start_processes(["performance.1", "beat.1"])
    until(lambda: "ready." in log(stack, "performance.1"), 120)

    # A minute's work, within the minute.
    until_second(20)
    minutes.feed([(number, minutes.price(number)) for number in range(1, STOCKS + 1)])
    minute = int(time.time() // MINUTE) + 1
    until(lambda: all(each.calculated_at for each in minutes.stocks()), 3 * MINUTE)
    ended = [each.calculated_at or 0.0 for each in minutes.stocks()]
    first = max(ended) - minute * MINUTE
    assert minute * MINUTE <= min(ended)
    assert first < MINUTE, minutes.log()
    assert len(minutes.calls()) == STOCKS
    print(f"{STOCKS} stocks by {PROCESSES} processes: {first:.1f} s after the minute began")

    # Minutes in which something happens.
    stack.start_processes(["performance.2"])
    until(lambda: "ready." in log(stack, "performance.2"), 120)

    def kill_one_of_the_pool() -> None:
        minutes.signal(minutes.tree("performance.1")[1:2], signal.SIGKILL)

    def kill_a_worker() -> None:
        minutes.signal(minutes.tree("performance.1"), signal.SIGKILL)

    frozen: list[psutil.Process] = []
    thawed_at = 0.0

    def freeze_a_worker_over_the_minute() -> None:
        nonlocal frozen, thawed_at
        frozen = minutes.tree("performance.2")
        minutes.signal(frozen, signal.SIGSTOP)
        until_second(50)
        until_second(25)
        thawed_at = time.time()
        minutes.signal(frozen, signal.SIGCONT)

    def kill_beat() -> None:
        minutes.signal(minutes.tree("beat.1"), signal.SIGKILL)

    def kill_the_server() -> None:
        stack.engines["valkey"].kill()
        stack.engines["valkey"].start()

    for fault in (
        *(kill_one_of_the_pool, kill_a_worker, freeze_a_worker_over_the_minute),
        *(kill_beat, kill_the_server),
    ):
        until_second(30)
        there = {number: minutes.fed[f"stock{number}"][-1] for number in BACK}
        minutes.feed([(number, minutes.price(number)) for number in BACK])
        minutes.feed(list(there.items()))
        for _ in range(UPDATES):
            minutes.feed([(BUSY[0], minutes.price(BUSY[0]))])
        minutes.feed([(number, minutes.price(number)) for number in BUSY])
        until_second(4)
        fault()

    until(lambda: all(each.calculated_price == each.latest for each in minutes.stocks()), 180)

    for each in minutes.stocks():
        assert minutes.prices.value(each.name)["price"] == minutes.fed[each.name]
        assert each.performance == each.latest
        assert each.failure == "", f"{each}\n{minutes.log()}"
    calls = minutes.calls()
    by_stock = Counter(price // EACH for price, _, _ in calls)
    assert {by_stock[number] for number in (*QUIET, *BACK)} == {1}
    # One that was frozen between its beginning and its call makes this a minute late.
    pids = {each.pid for each in frozen}
    in_time = [call for call in calls if not (call[2] in pids and 0 < call[1] - thawed_at < 1)]
    in_minutes = Counter((price // EACH, int(at // MINUTE)) for price, at, _ in in_time)
    twice = [each for each, count in in_minutes.items() if count > 1]
    assert not twice, [each for each in calls if (each[0] // EACH, int(each[1] // MINUTE)) in twice]
    assert by_stock[BUSY[0]] <= 12, "of some 900 prices"
    print(f"{len(calls) - len(in_time)} calls came a minute late")
    print(f"{len(calls)} calculations, {len(minutes.fed[f'stock{BUSY[0]}'])} prices of one stock")
    minutes.prices.close()


def log(stack: Stack, name: str) -> str:
    path = stack.var_dir / "log" / f"{name}.log"
    return path.read_text(errors="replace") if path.exists() else ""
