"""Beats of processes, against a real Redis."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable

import psutil
import pytest
import redis
from pytest_django import Settings

from config.operations import processes
from config.operations.processes import Heartbeat
from config.services.engine import Engine
from config.services.stack import PROJECT
from config.version import version
from tests.services.waiting import until


@pytest.fixture
def server(own_valkey: Callable[[], Engine], settings: Settings) -> Engine:
    engine = own_valkey()
    settings.REDIS_URL = engine.variables()["REDIS_URL"]
    settings.CONSUMER_HEALTH_SECONDS = 0.1
    return engine


def test_a_beat_says_who_and_how_large(server: Engine, settings: Settings) -> None:
    settings.CONSUMER_HEALTH_SECONDS = 60.0
    heartbeat = Heartbeat("web", lambda: {"more": 1})
    heartbeat.start()
    (found,) = until(processes.read)

    assert found["role"] == "web"
    assert (found["host"], found["pid"]) == (socket.gethostname(), os.getpid())
    assert found["version"] == version()
    assert found["started_at"] <= found["beaten_at"]
    assert found["memory_bytes"] >= psutil.Process().memory_info().rss // 2
    assert found["more"] == 1
    heartbeat.end()


LARGE = """
import os, signal
from config.operations.processes import about
large = b"x" * 200_000_000
for _ in range(4):
    if os.fork() == 0:
        signal.pause()
        os._exit(0)
print(about()["memory_bytes"], flush=True)
os.killpg(0, signal.SIGKILL)
"""


def test_what_a_worker_shares_with_its_children_counts_once() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LARGE],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert 200_000_000 < int(process.stdout.readline()) < 500_000_000


def test_it_beats_again_and_is_gone_when_it_ends(server: Engine) -> None:
    heartbeat = Heartbeat("worker")
    heartbeat.start()
    first = until(processes.read)[0]["beaten_at"]

    assert until(lambda: [each for each in processes.read() if each["beaten_at"] > first])
    heartbeat.end()

    assert until(lambda: processes.read() == [])


def test_all_are_read_by_role(server: Engine, settings: Settings) -> None:
    settings.CONSUMER_HEALTH_SECONDS = 60.0
    beats = [Heartbeat(role) for role in ("worker", "beat", "web")]
    for each in beats:
        each.start()

    until(lambda: len(processes.read()) == 3)

    assert [each["role"] for each in processes.read()] == ["beat", "web", "worker"]
    for each in beats:
        each.end()


def test_one_that_is_killed_is_gone_after_three_beats(server: Engine, settings: Settings) -> None:
    heartbeat = Heartbeat("worker")
    client = redis.Redis.from_url(settings.REDIS_URL)
    heartbeat.start()

    # Gone for a moment where a beat comes late.
    assert until(lambda: max(client.pttl(heartbeat.key), 0)) <= 300
    heartbeat.end()


def test_an_outage_is_logged_once_and_passes(
    server: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    heartbeat = Heartbeat("worker")
    heartbeat.start()
    until(processes.read)
    with caplog.at_level("INFO", "config.operations.processes"):
        server.kill()
        until(lambda: "can't say that it lives" in caplog.text)
        server.start()
        until(lambda: "says again that it lives" in caplog.text)

    assert caplog.text.count("can't say that it lives") == 1
    heartbeat.end()


def test_without_redis_reading_says_so(server: Engine) -> None:
    server.kill()

    with pytest.raises(redis.RedisError):
        processes.read()
