"""Each line of the Procfile starts, gets ready, and ends with 0 on SIGTERM: all in one go."""

import os
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg2
import pytest
import redis
from django.conf import settings

from config.consumers.registry import consumer_names
from config.operations.liveness import INDEX_KEYS, beating
from config.services.engine import Engine
from tests.deploy.procfile import Dyno, lines
from tests.services.waiting import until

MIB = 1024**2
MOST_CONNECTIONS = 8
START_SECONDS = 300  # a dozen processes at once, beside other tests
DYNO_BYTES = 512 * MIB
DATABASE = "stockroom_dynos"
NOBODY = "127.0.0.1:1"  # no broker is there: consumers wait for it, and say so
WAITING = {
    "sales": "sales waits: ",
    "prices": "prices waits: ",
    "ledger": "ledger waits for ",
    "orders": "orders go on by the sweep alone: RabbitMQ",
}


@pytest.fixture
def database() -> Iterator[str]:
    """The URL of an empty database, which release fills."""
    admin = psycopg2.connect(settings.DATABASE_URL)
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{DATABASE}" WITH (FORCE)')
        cursor.execute(f'CREATE DATABASE "{DATABASE}"')
    yield settings.DATABASE_URL.rpartition("/")[0] + f"/{DATABASE}"
    with admin.cursor() as cursor:
        cursor.execute(f'DROP DATABASE "{DATABASE}" WITH (FORCE)')
    admin.close()


@pytest.fixture
def environment(database: str, own_valkey: Callable[[], Engine], tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        # `python` and `celery` are this environment's, activated or not.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        **own_valkey().variables(),
        "STOCKROOM_VAR": str(tmp_path / "var"),
        "KAFKA_BOOTSTRAP_SERVERS": NOBODY,
        "AMQP_URL": f"amqp://{NOBODY}/",
        "DATABASE_URL": database,
        "PORT": str(free_port()),
        "TRUSTED_PROXIES": "0",
        "WEB_CONCURRENCY": "1",
        "PRICES_PERFORMANCE_PROCESSES": "1",
        "IMPORT_SWEEP_SECONDS": "1",  # work for the threads
        "CONSUMER_HEALTH_SECONDS": "1",
        "CELERY_SKIP_CHECKS": "1",  # release has made them
    }


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Dyno]]:
    dynos: list[Dyno] = []

    def begin(name: str, **more: str) -> Dyno:
        # So the database tells whose a connection is.
        url = f"{environment['DATABASE_URL']}?application_name={name}"
        given = {**environment, "DATABASE_URL": url, **more}
        dynos.append(Dyno(name, lines()[name], given, tmp_path))
        return dynos[-1]

    yield begin
    for dyno in dynos:
        dyno.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def is_ready(port: str) -> bool:
    with suppress(urllib.error.HTTPError):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
            return answer.status == 200
    return False


def connections(of: str, url: str) -> int:
    with psycopg2.connect(url) as asking, asking.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [of])
        count = cursor.fetchone()[0]
    asking.close()
    return int(count)


def test_each_line_gets_ready_and_ends_well(start, environment, tmp_path):
    release = start("release")
    assert release.child.wait(START_SECONDS) == 0, release.log
    dynos = {name: start(name) for name in lines() if name != "release"}

    live = redis.Redis.from_url(environment["REDIS_URL"], decode_responses=True)

    def here(role: str) -> bool:
        for dyno in dynos.values():
            assert dyno.child.poll() is None, f"{dyno.name} has ended:\n{dyno.log}"
        keys = [key for index in INDEX_KEYS for key in live.zrange(index, 0, -1)]
        return any(f":{role}:" in key for key in keys)

    for role in ("web", "worker", "performance", "beat", *consumer_names()):
        until(lambda role=role: here(role), START_SECONDS)
    for name, dyno in dynos.items():
        if name not in ("web", "beat"):
            until(lambda dyno=dyno: dyno.says(" ready."), START_SECONDS)
    for name, words in WAITING.items():
        until(lambda name=name, words=words: dynos[name].says(words))
        until(lambda words=words: dynos["worker"].says(words))
    live.close()
    until(lambda: is_ready(environment["PORT"]))
    # Everything on one dyno, at work: sweeps come twice a second.
    counts = [connections("worker", environment["DATABASE_URL"]) for _ in range(40)]
    assert 0 < max(counts) <= MOST_CONNECTIONS
    assert dynos["worker"].memory_bytes() < DYNO_BYTES

    left = [process for dyno in dynos.values() for process in dyno.processes()]
    for dyno in dynos.values():
        dyno.stop()
    ended = {name: dyno.child.wait(90) for name, dyno in dynos.items()}
    assert ended == dict.fromkeys(dynos, 0), "\n".join(
        dynos[name].log[-3000:] for name, code in ended.items() if code
    )
    _, alive = psutil.wait_procs(left, timeout=30)
    assert [each for each in alive if each.status() != psutil.STATUS_ZOMBIE] == []


def test_a_worker_whose_beat_dies_leaves_for_its_supervisor(start, environment):
    worker = start("worker", CONSUMERS="", WORKER_QUEUES="default", WORKER_CONCURRENCY="1")
    until(lambda: worker.says(" ready."), START_SECONDS)
    beat = until(lambda: beating(environment["REDIS_URL"], "beat", socket.gethostname()))
    os.kill(int(beat[0].rpartition(":")[2]), signal.SIGKILL)
    assert worker.child.wait(60) == 1
    assert "the embedded beat has died" in worker.log
