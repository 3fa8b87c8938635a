"""`python -m config.services run` from start to end, as `make run` calls it."""

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

import psutil
import pytest

from tests.services.waiting import alive, until

PROJECT = Path(__file__).resolve().parents[2]
ENGINE_VARIABLES = (
    *("DATABASE_URL", "REDIS_URL", "PRICES_REDIS_URL", "KEYDB_URL"),
    *("KAFKA_BOOTSTRAP_SERVERS", "AMQP_URL", "SECRET_KEY", "PORT"),
)
READY_SECONDS = 300.0


class Run:
    """A running `run`, its lines as they come."""

    def __init__(self, var_dir: Path, *before: str, **variables: str) -> None:
        """`before` stands before the command, `variables` are added to ours."""
        self._var_dir = var_dir
        environment = {k: v for k, v in os.environ.items() if k not in ENGINE_VARIABLES}
        environment |= {"STOCKROOM_VAR": str(var_dir), "STOCKROOM_ENGINES": "postgres,valkey"}
        environment |= variables
        self.process = subprocess.Popen(
            [*before, sys.executable, "-m", "config.services", "run"],
            cwd=PROJECT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._queue: Queue[str] = Queue()
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                self._queue.put(line)

    def text(self) -> str:
        while True:
            try:
                self.lines.append(self._queue.get_nowait())
            except Empty:
                return "".join(self.lines)

    def address(self) -> str:
        """The printed address, once it is."""

        def look() -> re.Match[str] | None:
            found = re.search(r"Stockroom is running at (http://127\.0\.0\.1:\d+)", self.text())
            assert found or self.process.poll() is None, self.text()
            return found

        found = until(look, READY_SECONDS)
        assert found is not None
        return found.group(1)

    def pids(self) -> list[int]:
        return [p.pid for p in psutil.Process(self.process.pid).children(recursive=True)]

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(180)

    def logged(self, name: str) -> str:
        """What that process has written so far."""
        log = self._var_dir / "log" / f"{name}.log"
        return log.read_text() if log.exists() else ""


@pytest.fixture
def runs() -> Iterator[list[Run]]:
    made: list[Run] = []
    yield made
    for run in made:
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait()


def test_it_serves_keeps_its_data_and_leaves_nothing(engine_folder: Path, runs: list[Run]) -> None:
    first = Run(engine_folder)
    runs.append(first)
    address = first.address()
    with urllib.request.urlopen(f"{address}/healthz", timeout=60) as response:
        assert response.status == 200
    assert (engine_folder / "run.env").exists()
    until(lambda: "ready" in first.logged("worker.1"))
    until(lambda: "ready" in first.logged("performance.1"))
    # This run has no Kafka: its consumers wait and say for what.
    until(lambda: "sales waits: No Kafka" in first.logged("sales.1"))
    until(lambda: "prices waits: No Kafka" in first.logged("prices.1"))

    # A second one in the same folder is refused and says where the first is.
    second = Run(engine_folder)
    runs.append(second)
    assert second.process.wait(60) == 1
    until(lambda: f"already running at {address}" in second.text())

    pids = first.pids()
    assert first.end(signal.SIGINT) == 0
    until(lambda: not alive(pids))
    assert not (engine_folder / "run.env").exists()

    # The next run finds the data, and a killed one leaves nothing either.
    third = Run(engine_folder)
    runs.append(third)
    third.address()
    assert "made a PostgreSQL cluster" not in third.text()
    pids = third.pids()
    third.end(signal.SIGKILL)
    until(lambda: not alive(pids))


def test_a_second_ctrl_c_ends_it_at_once(engine_folder: Path, runs: list[Run]) -> None:
    run = Run(engine_folder)
    runs.append(run)
    until(lambda: "starting postgres" in run.text())
    pids = run.pids()
    run.process.send_signal(signal.SIGINT)
    until(lambda: "again stops it at once" in run.text())
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(60) in (0, 130)
    until(lambda: not alive(pids))


def test_a_logout_does_not_end_what_nohup_started(engine_folder: Path, runs: list[Run]) -> None:
    run = Run(engine_folder, "nohup")
    runs.append(run)
    until(lambda: "starting postgres" in run.text())
    run.process.send_signal(signal.SIGHUP)
    until(lambda: "web.1      | -- started" in run.text() or run.process.poll() is not None, 300)
    assert "stopping" not in run.text()
    assert run.end(signal.SIGINT) == 0


def test_a_broker_that_can_not_be_fetched_keeps_nobody_from_working(
    engine_folder: Path, runs: list[Run], tmp_path: Path
) -> None:
    for name in ("java", "mvn"):  # so that nothing is installed; neither comes to be called
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    run = Run(
        engine_folder,
        PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        STOCKROOM_ENGINES="postgres,valkey,kafka",
        XDG_CACHE_HOME="/proc/stockroom",  # not even root can write there
    )
    runs.append(run)
    address = run.address()
    until(lambda: "kafka is not there; all else runs. [Errno" in run.text())
    with urllib.request.urlopen(f"{address}/healthz", timeout=60) as response:
        assert response.status == 200
    assert run.end(signal.SIGINT) == 0
