"""Waiting for what others do: polls with a deadline, and coroutines."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil

T = TypeVar("T")


def until(condition: Callable[[], T], seconds: float = 60.0) -> T:
    """The first true value of `condition`; AssertionError when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {condition}"
        time.sleep(0.02)
    return value


def finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """Its result, from a loop in a thread of its own: in that of the tests Playwright's runs."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


def alive(pids: Iterable[int]) -> list[int]:
    """Those of `pids` whose process is there and no zombie."""
    found = []
    for pid in pids:
        try:
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
        except psutil.NoSuchProcess:
            pass
    return found


def freeze(pid: int) -> None:
    """Stop it (SIGSTOP), with all its threads: busy ones still answer for a moment."""
    os.kill(pid, signal.SIGSTOP)
    until(lambda: _states(pid) <= {"T"})


def _states(pid: int) -> set[str]:
    """Those of its threads, as letters (proc_pid_stat(5), field 3)."""
    found = set()
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # this thread has ended
            found.add(stat.read_text().rpartition(") ")[2][0])
    return found
