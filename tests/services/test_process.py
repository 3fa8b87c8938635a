"""The supervised process: its lines, its restarts, its end. Children are tiny Python scripts."""

import io
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from config.services.output import Output
from config.services.process import Process
from tests.services.waiting import alive, until

Start = Callable[..., Process]


@pytest.fixture
def terminal() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def start(tmp_path: Path, terminal: io.StringIO) -> Iterator[Start]:
    """Starts `script` as a supervised process."""
    made: list[Process] = []

    def start(
        script: str,
        *,
        stop_seconds: float = 20.0,
        name: str = "child.1",
        directory: Path = tmp_path,
    ) -> Process:
        process = Process(
            name,
            [sys.executable, "-u", "-c", script],
            environment={"GREETING": "hello"},
            directory=directory,
            output=Output(tmp_path / "log", terminal),
            stop_seconds=stop_seconds,
            backoff_seconds=(0.05, 0.2),
        )
        made.append(process)
        process.start()
        return process

    yield start
    for process in made:
        process.stop(stop_seconds=0)


def test_lines_carry_the_name_and_go_to_a_file(
    start: Start, terminal: io.StringIO, tmp_path: Path
) -> None:
    process = start("import os, time; print(os.environ['GREETING']); time.sleep(60)")
    until(lambda: "child.1    | hello\n" in terminal.getvalue())
    process.stop()
    log = (tmp_path / "log" / "child.1.log").read_text()
    assert "\nhello\n" in log
    assert "|" not in log


def test_a_crash_is_told_and_followed_by_longer_and_longer_pauses(
    start: Start, terminal: io.StringIO
) -> None:
    process = start("raise SystemExit(3)")
    told = re.compile(r"ended by itself with code 3, starts again in ([\d.]+) s")
    until(lambda: len(told.findall(terminal.getvalue())) >= 4)
    process.stop()
    assert told.findall(terminal.getvalue())[:4] == ["0.05", "0.1", "0.2", "0.2"]


def test_a_killed_process_comes_back(start: Start, terminal: io.StringIO) -> None:
    process = start("import time; time.sleep(60)")
    first = process.pid
    process.kill()
    until(lambda: process.running and process.pid != first)
    until(lambda: "ended by itself with signal SIGKILL" in terminal.getvalue())


def test_one_that_can_not_be_started_again_is_tried_until_it_can(
    start: Start, terminal: io.StringIO, tmp_path: Path
) -> None:
    """As with no process to fork: the folder that it runs in is gone for a while."""
    folder = tmp_path / "there"
    folder.mkdir()
    process = start("import time; time.sleep(60)", directory=folder)
    folder.rmdir()
    process.kill()
    told = re.compile(r"could not go on \(.*there.*\), starts again in ([\d.]+) s")
    until(lambda: len(told.findall(terminal.getvalue())) >= 3)
    assert told.findall(terminal.getvalue())[:2] == ["0.1", "0.2"]
    assert not process.running
    folder.mkdir()
    until(lambda: process.running)
    process.stop()
    until(lambda: "-- stopped" in terminal.getvalue())


def test_sigterm_lets_it_finish_its_work(start: Start, terminal: io.StringIO) -> None:
    process = start(
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('drained'), sys.exit(0)))\n"
        "print('ready')\n"
        "signal.pause()"
    )
    until(lambda: "ready" in terminal.getvalue())
    process.stop()
    until(lambda: "| drained\n" in terminal.getvalue())
    assert process.starts == 1
    assert not process.running


def test_one_that_ignores_sigterm_is_killed_with_its_children(
    start: Start, terminal: io.StringIO
) -> None:
    process = start(
        "import signal, subprocess, sys\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
        "print('ready')\n"
        "child.wait()",
        stop_seconds=0.1,
    )
    until(lambda: "ready" in terminal.getvalue())
    assert process.pid is not None
    pids = [process.pid, *(c.pid for c in psutil.Process(process.pid).children(recursive=True))]
    assert len(pids) == 2
    process.stop()
    assert not alive(pids)
    until(lambda: "is killed" in terminal.getvalue())


def test_workers_of_a_dead_master_are_gone_before_the_next_starts(
    start: Start, terminal: io.StringIO
) -> None:
    process = start(
        "import subprocess\n"
        "worker = subprocess.Popen(['sleep', '60'])\n"
        "print('worker', worker.pid)\n"
        "worker.wait()"
    )
    until(lambda: "worker" in terminal.getvalue())
    worker = int(re.findall(r"worker (\d+)", terminal.getvalue())[0])
    process.kill()
    until(lambda: process.starts == 2)
    assert not alive([worker])


def test_stop_during_the_pause_starts_nothing(start: Start, terminal: io.StringIO) -> None:
    process = start("raise SystemExit(1)")
    until(lambda: "starts again" in terminal.getvalue())
    process.stop()
    starts = process.starts
    assert not process.running
    process.kill_all()
    assert process.starts == starts


def test_restart_is_a_new_process(start: Start) -> None:
    process = start("import time; time.sleep(60)")
    first = process.pid
    process.restart()
    assert process.running
    assert process.pid != first


def test_a_command_that_is_missing_is_told(tmp_path: Path, terminal: io.StringIO) -> None:
    process = Process(
        "gone.1",
        ["no-such-program"],
        environment={"PATH": "/usr/bin"},
        directory=tmp_path,
        output=Output(tmp_path / "log", terminal),
    )
    process.start()
    until(lambda: "no-such-program can't be run" in terminal.getvalue())
    process.stop()


def test_a_log_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.services.output.FILE_LIMIT_BYTES", 1000)
    output = Output(tmp_path, None)
    for number in range(500):
        output.line("web.1", f"line {number}")
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["web.1.log", "web.1.log.1"]
    assert all(file.stat().st_size < 1100 for file in files)
    assert "line 499" in files[0].read_text() + files[1].read_text()


def test_it_has_a_session_of_its_own(start: Start) -> None:
    # A terminal sends Ctrl-C to the processes of its own session only.
    process = start("import time; time.sleep(60)")
    assert process.pid is not None
    assert os.getsid(process.pid) == process.pid != os.getsid(0)
