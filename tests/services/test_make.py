"""`make clean-data`, which is shell alone; other targets are programs with tests of their own."""

import fcntl
import subprocess
from pathlib import Path

import pytest

from config.services.stack import PROJECT


def clean_data(folder: Path, answer: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "-f", str(PROJECT / "Makefile"), "-C", str(folder), "clean-data"]
    return subprocess.run(command, input=answer, capture_output=True, text=True, check=False)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of state, with something in it."""
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "run.lock").touch()
    (tmp_path / "var" / "demo.txt").write_text("secret")
    return tmp_path / "var"


def test_data_go_when_somebody_says_yes(data: Path) -> None:
    done = clean_data(data.parent, "yes\n")
    assert done.returncode == 0, done.stderr
    assert not data.exists()


@pytest.mark.parametrize("answer", ["\n", "y\n", "no\n", "Yes\n"])
def test_nothing_else_is_a_yes(data: Path, answer: str) -> None:
    assert "Nothing deleted." in clean_data(data.parent, answer).stdout
    assert (data / "demo.txt").exists()


def test_a_running_stockroom_keeps_its_data(data: Path) -> None:
    with (data / "run.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = clean_data(data.parent, "yes\n")
    assert done.returncode != 0 and "stop it first" in done.stdout
    assert (data / "demo.txt").exists()


def test_where_there_are_none_it_says_so(tmp_path: Path) -> None:
    done = clean_data(tmp_path, "yes\n")
    assert done.returncode != 0 and "There is no var/ here." in done.stdout
