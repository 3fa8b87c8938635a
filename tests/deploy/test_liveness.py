"""Whether a process of a role lives: the health checks of docker-compose.yml."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

from config.operations.liveness import beating, verdict
from config.operations.processes import Heartbeat
from tests.services.waiting import until

ROOT = Path(__file__).resolve().parents[2]
HOST = socket.gethostname()


@pytest.fixture
def alive():
    heartbeat = Heartbeat("deploy-test")
    heartbeat.start()
    until(lambda: beating(settings.REDIS_URL, "deploy-test", HOST))
    yield heartbeat
    heartbeat.end()


def check(role: str, url: str) -> subprocess.CompletedProcess[str]:
    """As the image runs it."""
    command = [sys.executable, "-m", "config.operations.liveness", role]
    return subprocess.run(
        command, cwd=ROOT, env={"REDIS_URL": url}, capture_output=True, text=True, check=False
    )


def test_who_beats_lives_and_who_has_ended_does_not(alive):
    done = check("deploy-test", settings.REDIS_URL)
    assert (done.returncode, done.stderr) == (0, "") and "deploy-test: beats on" in done.stdout
    alive.end()
    done = check("deploy-test", settings.REDIS_URL)
    assert (done.returncode, done.stdout) == (1, f"deploy-test: no process on {HOST} beats\n")


def test_only_this_role_on_this_machine_counts(alive):
    assert verdict(settings.REDIS_URL, "deploy", HOST)[0] == 1
    assert verdict(settings.REDIS_URL, "deploy-test", "elsewhere")[0] == 1


def test_without_redis_nobody_is_called_dead():
    code, line = verdict("redis://127.0.0.1:1/0", "sales", HOST)
    assert code == 0 and "nobody can tell" in line


def test_the_command_says_the_same(alive, capsys):
    call_command("check_process", "deploy-test")
    assert "deploy-test: beats on" in capsys.readouterr().out
    with pytest.raises(SystemExit) as left:
        call_command("check_process", "deploy-test", host="elsewhere")
    assert left.value.code == 1
