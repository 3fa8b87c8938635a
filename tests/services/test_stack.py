"""A stack's processes and engines come back on the same address."""

import os
import signal
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import redis

from config.services.engine import Engine
from config.services.stack import Stack
from config.services.stack_error import StackError
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


def test_web_is_asked_directly_where_a_proxy_is_set(
    tmp_path: Path, addresses: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setattr(urllib.request, "_opener", None)  # made at its first use, with its proxies
    with Stack(tmp_path, addresses, roles=["web"], engines=["postgres", "valkey"], port=0) as stack:
        stack.start_processes()
        stack.wait_ready()


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


def test_an_engine_that_can_not_be_started_again_is_tried_until_it_can(
    engine_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As on a full disk: its folder is gone for a while, and a file in its place."""
    with Stack(engine_folder, {}, roles=[], engines=["valkey"], port=0) as stack:
        stack.start_engines()
        engine = stack.engines["valkey"]
        aside = engine.data_dir.with_name("aside")
        engine.data_dir.rename(aside)
        engine.data_dir.touch()
        assert engine.pid is not None
        os.kill(engine.pid, signal.SIGKILL)
        until(lambda: caplog.text.count("valkey can't be looked after: [Errno") >= 2)
        engine.data_dir.unlink()
        aside.rename(engine.data_dir)
        with redis.from_url(stack.environment["PRICES_REDIS_URL"]) as client:
            until(lambda: answers(client.ping))


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


@pytest.fixture
def hanging(tmp_path: Path) -> dict[str, str]:
    """An environment in which each Python hangs from its start on, until the file `go` is there."""
    folder = tmp_path / "hanging"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import pathlib, time\n"
        f"folder = pathlib.Path({str(folder)!r})\n"
        "(folder / 'began').touch()\n"
        "while not (folder / 'go').exists():\n"
        "    time.sleep(0.02)\n"
    )
    return {**os.environ, "PYTHONPATH": str(folder)}


def test_a_stop_while_settings_are_checked_is_no_crash(
    tmp_path: Path, hanging: dict[str, str]
) -> None:
    with (
        ThreadPoolExecutor(1) as pool,
        Stack(tmp_path / "var", hanging, roles=[], port=0) as stack,
    ):
        checking = pool.submit(stack.check_settings)
        until((Path(hanging["PYTHONPATH"]) / "began").exists)
        stack.stop()
        with pytest.raises(StackError, match="cancelled"):
            checking.result()


def test_a_migration_takes_its_time_and_says_so_each_minute_others_are_cut(
    tmp_path: Path,
    addresses: dict[str, str],
    hanging: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("config.services.stack.COMMAND_SECONDS", 0.3)
    monkeypatch.setattr("config.services.spawn.MINUTE_SECONDS", 0.2)
    environment = {**addresses, "PYTHONPATH": hanging["PYTHONPATH"]}
    with (
        ThreadPoolExecutor(1) as pool,
        Stack(tmp_path / "var", environment, roles=[], port=0) as stack,
    ):
        with pytest.raises(StackError, match="did not end within"):
            stack.manage("version")
        migrating = pool.submit(stack.manage, "migrate", "--help")
        until(lambda: "manage.py migrate is at work for 4 min" in caplog.text)
        (Path(hanging["PYTHONPATH"]) / "go").touch()
        assert "usage: manage.py migrate" in migrating.result(120)


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
