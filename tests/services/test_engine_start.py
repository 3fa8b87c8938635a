"""How long a start is waited for: as long as the server says that it recovers."""

import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import psycopg2
import pytest
import redis

from config.services.engine import Engine, EngineError
from tests.services.waiting import until

SERVER = """
import pathlib, signal, sys
def end(*_):
    pathlib.Path("orderly").touch()
    sys.exit()
signal.signal(signal.SIGTERM, end)
pathlib.Path("began").touch()
while True:
    signal.pause()
"""


class Slow(Engine):
    """A server that is ready, or recovers, when a file in its folder says so."""

    name = "slow"
    provides = ()
    ready_seconds = 0.3
    stop_seconds = 60.0
    stop_signal = signal.SIGTERM

    def variables(self) -> dict[str, str]:
        return {}

    def _prepare(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)

    def _command(self) -> list[str]:
        return [sys.executable, "-c", SERVER]

    def _is_ready(self) -> bool:
        return (self.data_dir / "ready").exists()

    def _is_recovering(self) -> bool:
        recovers = (self.data_dir / "recovers").exists()
        return recovers or not (self.data_dir / "began").exists()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Callable[[str], int]:
    """How often a text was said, where 30 s are much shorter."""
    monkeypatch.setattr("config.services.engine.TELL_SECONDS", 0.05)
    return lambda text: caplog.text.count(text)


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Slow]:
    engine = Slow(tmp_path)
    engine.data_dir.mkdir()
    yield engine
    engine.close()


@pytest.fixture
def starting() -> Iterator[Callable[[Engine], Future[None]]]:
    """Starts an engine beside the test."""
    pool = ThreadPoolExecutor(1)
    yield lambda engine: pool.submit(engine.start)
    pool.shutdown(wait=False)  # where a test failed, the engine's end ends the start


def test_a_server_that_says_it_recovers_is_waited_for(
    slow: Slow, told: Callable[[str], int], starting: Callable[[Engine], Future[None]]
) -> None:
    (slow.data_dir / "recovers").touch()
    start = starting(slow)
    until(lambda: start.done() or told("slow still recovers its data after 1 s"))
    assert not start.done() and slow.running
    (slow.data_dir / "ready").touch()
    start.result(60)
    assert slow.running


def test_one_that_does_not_say_so_is_ended_in_its_own_way(slow: Slow) -> None:
    with pytest.raises(EngineError, match="slow was not ready after"):
        slow.start()
    assert not slow.running
    assert (slow.data_dir / "orderly").exists()


@pytest.mark.parametrize("orderly", [True, False], ids=["stop", "kill"])
def test_a_stop_meanwhile_is_orderly_and_a_kill_is_not(
    slow: Slow, starting: Callable[[Engine], Future[None]], orderly: bool
) -> None:
    (slow.data_dir / "recovers").touch()
    start = starting(slow)
    until((slow.data_dir / "began").exists)
    if orderly:
        slow.stop()
    else:
        slow.kill()
    with pytest.raises(EngineError, match="was stopped while starting"):
        start.result(60)
    assert not slow.running
    assert (slow.data_dir / "orderly").exists() is orderly


def test_postgres_says_that_it_replays_its_log(
    own_postgres: Callable[[], Engine],
    told: Callable[[str], int],
    starting: Callable[[Engine], Future[None]],
) -> None:
    engine = own_postgres()
    engine.stop()
    # A recovery that lasts until the file is there: it asks for older parts of the log.
    go = engine.var_dir / "go"
    command = f"while [ ! -e {go} ]; do sleep 0.05; done; false"
    engine.settings |= {"restore_command": command, "hot_standby": "off"}  # type: ignore[attr-defined]
    signal_file = engine.data_dir / "recovery.signal"
    signal_file.touch()
    signal_file.chmod(0o666)
    start = starting(engine)
    try:
        until(lambda: start.done() or told("postgres still recovers its data"))
        assert not start.done()
    finally:
        go.touch()
    start.result(120)
    connection = psycopg2.connect(engine.variables()["DATABASE_URL"])
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_is_in_recovery()")
        assert cursor.fetchone() == (False,)
    connection.close()


def test_valkey_says_that_it_loads_its_data(
    own_valkey: Callable[[], Engine],
    told: Callable[[str], int],
    starting: Callable[[Engine], Future[None]],
) -> None:
    engine = own_valkey()
    count = 5000
    with redis.from_url(engine.variables()["PRICES_REDIS_URL"]) as client:
        with client.pipeline(transaction=False) as commands:
            for number in range(count):
                commands.set(f"key{number}", "x")
            commands.execute()
    engine.kill()
    engine.settings["key-load-delay"] = "400"  # type: ignore[attr-defined]  # µs for each
    start = starting(engine)
    until(lambda: start.done() or told("valkey still recovers its data"))
    start.result(120)
    assert told("valkey still recovers its data")
    with redis.from_url(engine.variables()["PRICES_REDIS_URL"]) as client:
        assert client.dbsize() == count
