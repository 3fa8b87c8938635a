"""A terminal that takes nothing (Ctrl-S, a pager, a hung ssh) stops no process and no end."""

import fcntl
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from config.services.output import Output
from config.services.stack import PROJECT
from tests.services.waiting import until

LINES = 100_000


def test_lines_go_on_to_their_files_and_what_was_left_out_is_told(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with open(writing, "w") as terminal, open(reading) as seen:
        output = Output(tmp_path, terminal)

        def show() -> None:
            for number in range(LINES):
                output.line("web.1", f"line {number}")

        thread = threading.Thread(target=show, daemon=True)
        thread.start()
        until(lambda: not thread.is_alive())
        assert len((tmp_path / "web.1.log").read_text().splitlines()) == LINES
        assert not output.flush(0)

        shown: list[str] = []
        while not shown or "left out" not in shown[-1]:
            shown.append(seen.readline().rstrip("\n"))
        kept, words = shown[:-1], shown[-1]
        assert kept == [f"web.1      | line {number}" for number in range(len(kept))]
        assert f" {LINES - len(kept)} lines left out" in words and str(tmp_path) in words
        assert output.flush(60)
        output.line("web.1", "goes on")
        assert output.flush(60)
        assert seen.readline() == "web.1      | goes on\n"


def test_a_closed_terminal_stops_nothing(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as terminal:
        output = Output(tmp_path, terminal)
        output.line("web.1", "one")
        output.line("web.1", "two")
        assert output.flush(60)
        assert (tmp_path / "web.1.log").read_text() == "one\ntwo\n"
        with suppress(BrokenPipeError):  # so that its end has nothing left to write
            terminal.close()


def test_a_run_ends_though_its_terminal_takes_nothing(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    flags = fcntl.fcntl(writing, fcntl.F_GETFL)
    fcntl.fcntl(writing, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, bytes(4096))
    fcntl.fcntl(writing, fcntl.F_SETFL, flags)
    environment = {"PATH": os.environ["PATH"], "STOCKROOM_VAR": str(tmp_path)}
    run = subprocess.Popen(
        [sys.executable, "-m", "config.services", "run"],
        cwd=PROJECT,
        env={**environment, "WEB_CONCURRENCY": "0"},  # wrong, so that nothing is started
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    try:
        _, errors = run.communicate(timeout=120)
    finally:
        run.kill()
        os.close(reading)
        os.close(writing)
    assert (run.returncode, errors) == (1, b"")
