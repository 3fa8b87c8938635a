"""Who takes the samples, and that it goes on whatever happens."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.db import connection
from pytest_django import Settings

from config.accounts.models import User
from config.live import ChannelManager
from config.live.publishing import TOPIC
from config.operations import processes, sample
from config.operations.models import Alert
from config.operations.sampling import CHANNEL, LEASE_PERIODS, LOOK_PERIODS, Sampler
from config.services.engine import Engine
from tests.services.waiting import until
from tests.web.servers import Server

ROOT = Path(__file__).resolve().parents[2]
PERIOD = 0.5
ONE = """
import django, sys, threading
django.setup()
from config.operations.sampling import Sampler
sampler = Sampler()
sampler.start()
print(sampler.name, flush=True)
sys.stdin.read()
sampler.end()
"""


@pytest.fixture
def server(own_valkey: Callable[[], Engine], settings: Settings) -> Engine:
    engine = own_valkey()
    settings.REDIS_URL = engine.variables()["REDIS_URL"]
    settings.OPERATIONS_SAMPLE_SECONDS = PERIOD
    settings.AMQP_URL = ""
    settings.KAFKA_BOOTSTRAP_SERVERS = []
    return engine


@pytest.fixture
def others(
    server: Engine, settings: Settings, transactional_db: None
) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts a process with a sampler of its own; ended at the end."""
    environment = {
        **os.environ,
        "REDIS_URL": settings.REDIS_URL,
        "DATABASE_URL": _database_url(),
        "OPERATIONS_SAMPLE_SECONDS": str(PERIOD),
        "AMQP_URL": "",
        "KAFKA_BOOTSTRAP_SERVERS": "",
    }
    made: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        made.append(
            subprocess.Popen(
                [sys.executable, "-c", ONE],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        )
        return made[-1]

    yield start
    for process in made:
        process.kill()
        process.communicate()


def test_who_leads_takes_a_sample_and_others_do_not(
    server: Engine, settings: Settings, transactional_db: None
) -> None:
    settings.OPERATIONS_SAMPLE_SECONDS = 600.0
    first, second = Sampler(), Sampler()

    assert first.turn()
    assert not second.turn()

    found = sample.read()
    assert found is not None
    assert found["engines"]
    assert len(sample.points()) == 1


def test_of_several_processes_one_leads_and_a_killed_one_is_followed(
    others: Callable[[], subprocess.Popen[str]], settings: Settings
) -> None:
    started = [others() for _ in range(2)]
    by_name = {_line(process): process for process in started}
    client = sample.client(settings.REDIS_URL)
    until(sample.read)
    leader = until(lambda: client.get(sample.LEADER))
    assert leader in by_name

    by_name[leader].send_signal(signal.SIGKILL)
    (other,) = set(by_name) - {leader}

    until(lambda: client.get(sample.LEADER) == other)
    at = (sample.read() or {})["at"]
    until(lambda: (sample.read() or {})["at"] > at)


def test_a_killed_leader_is_followed_within_three_periods() -> None:
    assert LEASE_PERIODS + LOOK_PERIODS < 3


def test_who_ends_is_followed_at_once(
    server: Engine, settings: Settings, transactional_db: None
) -> None:
    settings.OPERATIONS_SAMPLE_SECONDS = 600.0
    first = Sampler()
    first.start()
    until(sample.read)

    first.end()

    until(lambda: sample.lead("another", 1))


def test_an_outage_of_redis_is_logged_once_and_passes(
    server: Engine, transactional_db: None, caplog: pytest.LogCaptureFixture
) -> None:
    sampler = Sampler()
    sampler.start()
    until(sample.read)
    with caplog.at_level("INFO", "config.operations.sampling"):
        server.kill()
        until(lambda: "no samples while Redis is away" in caplog.text)
        server.start()
        until(lambda: "Redis is back" in caplog.text)
    until(sample.read)

    assert caplog.text.count("no samples while Redis is away") == 1
    sampler.end()


def test_what_is_wrong_is_told(server: Engine, transactional_db: None, settings: Settings) -> None:
    settings.OPERATIONS_ALERT_AFTER_SECONDS = 0.0
    sampler = Sampler()

    assert sampler.turn()
    sampler._telling.wait(60)

    assert Alert.objects.filter(key="process:worker:missing").exists()


def test_open_pages_are_told(server: Engine, transactional_db: None) -> None:
    with redis.Redis.from_url(os.environ["REDIS_URL"]).pubsub() as pubsub:
        pubsub.subscribe(TOPIC)

        assert Sampler().turn()

        event = until(lambda: _event(pubsub))
    found = sample.read()
    assert found is not None
    assert json.loads(event["data"]) == {"at": found["at"]}


def test_the_channel_is_for_who_is_signed_in(django_user_model: type[User], db: None) -> None:
    user = django_user_model.objects.create_user("ana", password="a-long-enough-password")

    assert ChannelManager().can_read_channel(user, CHANNEL)
    assert not ChannelManager().can_read_channel(None, CHANNEL)


def test_each_web_worker_beats_and_one_takes_samples(server: Engine, settings: Settings) -> None:
    environment = {"REDIS_URL": settings.REDIS_URL, "OPERATIONS_SAMPLE_SECONDS": str(PERIOD)}
    with Server(environment=environment) as web:
        found = until(sample.read)
        assert found["cost_seconds"] > 0
        leader = until(lambda: sample.client(settings.REDIS_URL).get(sample.LEADER))
        assert leader.split(":")[1] == str(web.worker.pid)
        (process,) = until(processes.read)
        assert (process["role"], process["pid"]) == ("web", web.worker.pid)

        web.process.terminate()
        assert web.exit_code() == 0

    until(lambda: processes.read() == [])
    until(lambda: sample.client(settings.REDIS_URL).get(sample.LEADER) is None)


def _database_url() -> str:
    given = connection.settings_dict
    host, port = given["HOST"], given["PORT"]
    user, password = given["USER"], given["PASSWORD"]
    return f"postgres://{user}:{password}@{host}:{port}/{given['NAME']}"


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line: Any = process.stdout.readline().strip()
    assert line
    return str(line)


def _event(pubsub: Any) -> Any:
    """The next one of our channel, None where none has come yet."""
    message = pubsub.get_message(ignore_subscribe_messages=True, timeout=0.1)
    event = json.loads(message["data"]) if message else None
    return event if event and event["channel"] == CHANNEL else None
