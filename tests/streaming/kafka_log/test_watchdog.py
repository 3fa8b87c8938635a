"""The watchdog ends a process whose loop hangs, and no other."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.services.waiting import until

ROOT = Path(__file__).parents[3]
RUN = """
import logging, sys, time
from streaming.kafka_log import watchdog
logging.basicConfig()
watchdog.TICK_SECONDS = 0.05
with watchdog.Watchdog("sales", float(sys.argv[1])) as dog:
    print("on", flush=True)
    for beat in sys.stdin:
        dog.beat()
print("off")
"""


@pytest.fixture
def guarded():
    children = []

    def start(limit_seconds: float) -> subprocess.Popen:
        child = subprocess.Popen(
            [sys.executable, "-c", RUN, str(limit_seconds)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        children.append(child)
        assert child.stdout.readline() == "on\n"
        return child

    yield start
    for child in children:
        child.kill()
        child.communicate()


def test_a_loop_that_hangs_ends_the_process_and_shows_where(guarded):
    child = guarded(0.5)
    assert child.wait(60) == 1
    said = child.stderr.read()
    assert "sales hangs" in said
    assert 'File "<string>", line' in said


def test_a_loop_that_goes_on_is_left_alone(guarded):
    child = guarded(60.0)
    for _ in range(20):
        child.stdin.write("beat\n")
        child.stdin.flush()
    said, _ = child.communicate(timeout=60)
    assert (child.returncode, said) == (0, "off\n")


def test_a_process_that_was_frozen_is_not_taken_for_one_that_hangs(guarded):
    """Frozen for much longer than the limit, of which only a part had passed."""
    child = guarded(5.0)
    child.send_signal(signal.SIGSTOP)
    process = psutil.Process(child.pid)
    until(lambda: process.status() == psutil.STATUS_STOPPED)
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(6.0)
    child.send_signal(signal.SIGCONT)
    said, _ = child.communicate(timeout=60)
    assert (child.returncode, said) == (0, "off\n")
