"""A stack's processes and engines come back on the same address."""

import os
import signal
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import redis

from config.services.engine import Engine
from config.services.stack import Stack, StackError
from tests.services.waiting import alive, until


@pytest.fixture
def addresses(postgres_engine: Engine, valkey_engine: Engine) -> dict[str, str]:
    """The environment with the run's engines in it."""
    return dict(os.environ)


def test_web_comes_back_on_its_address_and_refuses_nobody_meanwhile(
    tmp_path: Path, addresses: dict[str, str]
) -> None:
    # As docs/deploy.md has it: other names than those by which the stack asks.
    addresses |= {"SECURE": "1", "ALLOWED_HOSTS": "stockroom.example.com"}
    with Stack(tmp_path, addresses, roles=["web"], engines=["postgres", "valkey"], port=0) as stack:
        assert not stack.engines
        stack.start_processes()
        stack.wait_ready()
        web = stack.processes["web.1"]
        assert web.pid is not None
        pids = [web.pid, *(c.pid for c in psutil.Process(web.pid).children(recursive=True))]
        web.kill()
        until(lambda: web.starts == 2)
        # The socket is ours, so this waits for the new web process instead of being refused.
        with urllib.request.urlopen(f"{stack.address}/healthz", timeout=60) as response:
            assert response.status == 200
        assert not alive(pids)


def test_a_role_may_be_there_more_than_once(tmp_path: Path) -> None:
    with Stack(tmp_path, {}, roles=["web", "worker", "worker"], port=0) as stack:
        assert list(stack.processes) == ["web.1", "worker.1", "worker.2"]
        assert "worker2@%h" in stack.processes["worker.2"].command


def test_a_dead_engine_is_started_again(engine_folder: Path) -> None:
    with Stack(engine_folder, {}, roles=[], engines=["valkey"], port=0) as stack:
        stack.start_engines()
        engine = stack.engines["valkey"]
        client = redis.from_url(stack.environment["PRICES_REDIS_URL"])
        client.set("price", "1")
        assert engine.pid is not None
        os.kill(engine.pid, signal.SIGKILL)
        until(lambda: answers(lambda: client.get("price") == b"1"))
        client.close()


def answers(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except redis.RedisError:
        return False


def test_a_failing_command_says_what_it_printed(tmp_path: Path, addresses: dict[str, str]) -> None:
    with Stack(tmp_path, addresses, roles=[], port=0) as stack:
        with pytest.raises(StackError, match="failed with code 1:\nUnknown command: 'nonsense'"):
            stack.manage("nonsense")
        assert "5.2" in stack.manage("version")


def test_a_stopped_stack_starts_nothing(tmp_path: Path) -> None:
    stack = Stack(tmp_path, {}, port=0)
    stack.stop()
    with pytest.raises(StackError):
        stack.start_processes()
    stack.stop()


def test_a_wrong_setting_is_one_line_before_any_engine_starts(tmp_path: Path) -> None:
    environment = {**os.environ, "UPLOAD_KEEP_HOURS": "soon"}
    for variable in ("DATABASE_URL", "REDIS_URL", "PRICES_REDIS_URL", "KEYDB_URL"):
        environment.pop(variable, None)
    with Stack(tmp_path, environment, engines=["postgres", "valkey"], roles=[], port=0) as stack:
        with pytest.raises(StackError, match="UPLOAD_KEEP_HOURS") as refusal:
            stack.start()
        assert len(str(refusal.value).splitlines()) == 1
        assert not any(engine.running for engine in stack.engines.values())
