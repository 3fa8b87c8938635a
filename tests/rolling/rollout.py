"""How processes are ended under load: as a roll-out does, and by SIGKILL."""

import random
import signal
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from config.services.process import Process
from tests.rolling.whole import WholeStockroom
from tests.services.waiting import until

SECONDS = 180.0


@dataclass
class Rolled:
    """What was ended how often, by role."""

    restarted: Counter[str] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)


def roll_out(stockroom: WholeStockroom, rolled: Rolled) -> None:
    """Restart all processes one after another: SIGTERM, its end, the next one of it.

    Each has to end by itself: one that is killed when its time is over has not been rolled out.
    """
    for name, process in stockroom.stack.processes.items():
        process.restart()
        rolled.restarted[name.partition(".")[0]] += 1
        said = stockroom.said(name)
        assert "did not end in time" not in said, said[-4000:]


def reload_web(stockroom: WholeStockroom) -> None:
    """SIGHUP: gunicorn starts new workers and lets the old ones finish. Returns when they have."""
    (master, *before) = stockroom.processes("web.1")
    stockroom.signal([master], signal.SIGHUP)
    until(lambda: not any(_runs(each) for each in before), SECONDS)
    until(lambda: len(stockroom.processes("web.1")) > 1, SECONDS)


def kill(stockroom: WholeStockroom, name: str, source: random.Random, rolled: Rolled) -> None:
    """SIGKILL one, with all of its children or alone, and wait until it is back."""
    process: Process = stockroom.stack.processes[name]
    until(lambda: process.running, SECONDS)
    starts = process.starts
    found = stockroom.processes(name)
    stockroom.signal(found if source.random() < 0.5 else found[:1], signal.SIGKILL)
    until(lambda: process.starts > starts, SECONDS)
    rolled.killed[name.partition(".")[0]] += 1


def _runs(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
