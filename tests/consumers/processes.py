"""Starts and watches the real processes of these tests."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from config.consumers.health import consumer_health
from config.services.engine import Engine
from config.services.spawn import kill_tree, spawn, tree

PROJECT = Path(__file__).resolve().parents[2]
WAIT_SECONDS = 60.0
POLL_SECONDS = 0.02

Found = TypeVar("Found")


def wait_until(what: str, look: Callable[[], Found], seconds: float = WAIT_SECONDS) -> Found:
    """Look until it gives something true, and return that; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:g} s: {what}")
        time.sleep(POLL_SECONDS)
    return found


class Process:
    """A process of the project in a session of its own, with its output in a file."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as output:
            self.child: subprocess.Popen[bytes] = spawn(
                [sys.executable, *command],
                environment={**os.environ, **environment},
                directory=PROJECT,
                output=output,
            )

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self._log.read_text(errors="replace")

    def says(self, text: str, times: int = 1) -> None:
        """Wait until `text` is in its output."""

        def look() -> bool:
            if self.log.count(text) >= times:
                return True
            if self.child.poll() is not None and self.log.count(text) < times:
                pytest.fail(f"exited {self.child.returncode} without saying {text!r}:\n{self.log}")
            return False

        wait_until(f"{text!r} in\n{self.log}", look)

    def send(self, number: signal.Signals) -> None:
        self.child.send_signal(number)

    def exit_code(self, seconds: float = WAIT_SECONDS) -> int:
        """Wait for its end."""
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running after {seconds:g} s:\n{self.log}")


def alive(process: Process) -> list[psutil.Process]:
    """What runs of the process's session: itself, its children and what these left behind."""
    return [p for p in tree(process.child) if p.status() != psutil.STATUS_ZOMBIE]


class Stage:
    """One test's broker, the demonstration consumer's lists, and the processes started on them.

    The lists are in the run's own Redis, so that the broker alone can be taken away.
    """

    def __init__(self, broker: Engine, data_url: str, folder: Path) -> None:
        self.broker = broker
        self.broker_url = broker.variables()["REDIS_URL"]
        self.key = f"demo-{uuid.uuid4()}"
        self.data = redis.Redis.from_url(data_url, decode_responses=True)
        self._folder = folder
        self._processes: list[Process] = []
        self._environment = {
            **broker.variables(),
            "DEMO_URL": data_url,
            "DEMO_KEY": self.key,
            "CONSUMER_CLASSES": "demo=tests.consumers.demo.Demo,spare=tests.consumers.demo.Demo",
            "CONSUMER_HEALTH_SECONDS": "2",  # what is shown last is gone after three times that
            "CELERY_SKIP_CHECKS": "1",  # a third of a second less per process
        }

    def start(self, *command: str, **environment: str) -> Process:
        """Start `python COMMAND` with the broker and lists, and `environment` beside or instead."""
        log = self._folder / f"process{len(self._processes)}.log"
        process = Process(list(command), {**self._environment, **environment}, log)
        self._processes.append(process)
        return process

    def worker(self, *options: str, **environment: str) -> Process:
        """Start a Celery worker."""
        return self.start("-m", "celery", "-A", "config.celery", "worker", *options, **environment)

    def consumer(self, **environment: str) -> Process:
        """Start a worker that hosts the demonstration consumer, and wait until this works."""
        process = self.worker("-P", "solo", "--consumer", "demo", **environment)
        self.put("hello")
        self.wait_for_out("hello")
        process.says("ready.")
        return process

    def put(self, *items: str) -> None:
        """Give items to the demonstration consumer."""
        self.data.rpush(f"{self.key}:in", *items)

    def out(self, name: str = "out") -> list[str]:
        """What the demonstration consumer (or a task, under another name) has written."""
        return self.data.lrange(f"{self.key}:{name}", 0, -1)

    def wait_for_out(self, item: str, name: str = "out") -> None:
        wait_until(f"{item!r} in {name}; {self._logs()}", lambda: item in self.out(name))

    def wait_for_health(self, **expected: Any) -> dict[str, Any]:
        """Wait for a health record that has these values, and return it."""
        return wait_until(
            f"{expected} in {consumer_health()}; {self._logs()}",
            lambda: next((r for r in consumer_health() if expected.items() <= r.items()), {}),
        )

    def _logs(self) -> str:
        return "\n".join(process.log for process in self._processes)

    def broker_client(self) -> redis.Redis:
        """A client of the broker, which repeats what a restart of it interrupts."""
        return redis.Redis.from_url(self.broker_url, retry=Retry(ConstantBackoff(0.1), 50))

    def close(self) -> None:
        for process in self._processes:
            kill_tree(process.child)
        self.data.delete(*(self.data.keys(f"{self.key}:*") or ["-"]))
        self.data.close()
