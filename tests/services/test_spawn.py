"""Children never outlive the process that started them, however it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from config.services.spawn import CommandError, run
from tests.services.waiting import alive, until

PROJECT = Path(__file__).resolve().parents[2]

# Starts a child with two workers in its session, one of which ignores SIGTERM, and a PostgreSQL,
# whose backends have sessions of their own.
SUPERVISOR = """
import pathlib, subprocess, sys, threading, time
import psutil
from config.services.postgres import Postgres
from config.services.spawn import spawn

folder = pathlib.Path(sys.argv[1])
script = '''
import signal, subprocess
subprocess.Popen(["sleep", "600"])
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen(["sleep", "600"])
print("ready", flush=True)
signal.pause()
'''

def begin():
    # A thread that ends at once: its children must stay.
    global child
    child = spawn([sys.executable, "-c", script], environment={}, directory=folder,
                  output=subprocess.PIPE)

thread = threading.Thread(target=begin)
thread.start()
thread.join()
child.stdout.readline()
engine = Postgres(folder / "var", settings={"fsync": "off"})
engine.start()
assert child.poll() is None, "ended with the thread that started it"
print(*(p.pid for p in psutil.Process().children(recursive=True)), flush=True)
MEANWHILE
"""


def supervisor(folder: Path, meanwhile: str) -> subprocess.Popen[str]:
    folder.joinpath("var").mkdir()
    return subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR.replace("MEANWHILE", meanwhile), str(folder)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("meanwhile", "number"),
    [
        ("time.sleep(600)", signal.SIGKILL),
        ("time.sleep(600)", signal.SIGTERM),
        ("raise SystemExit(1)", None),
    ],
    ids=["killed", "terminated", "failed"],
)
def test_nothing_is_left(
    engine_folder: Path, meanwhile: str, number: signal.Signals | None
) -> None:
    parent = supervisor(engine_folder, meanwhile)
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) >= 7  # the reaper, three of the script, the server and its own processes
    if number is not None:
        parent.send_signal(number)
    parent.wait()
    until(lambda: not alive(pids))
    parent.stdout.close()


def test_a_killed_servers_data_can_be_used_again(engine_folder: Path) -> None:
    parent = supervisor(engine_folder, "time.sleep(600)")
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    parent.kill()
    parent.wait()
    parent.stdout.close()
    # The next supervisor does not wait for the remains of the first.
    from config.services.postgres import Postgres

    engine = Postgres(engine_folder / "var")
    try:
        engine.start()
        assert engine.running
    finally:
        engine.close()
    until(lambda: not alive(pids))


def test_run_returns_code_and_output(tmp_path: Path) -> None:
    code, output, _ = run(
        [sys.executable, "-c", "print(input()); raise SystemExit(4)"],
        environment=os.environ,
        directory=tmp_path,
        timeout_seconds=30,
        text="hello\n",
    )
    assert (code, output) == (4, "hello\n")


def test_run_ends_what_takes_too_long(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="did not end within"):
        run(
            ["sleep", "600"],
            environment=os.environ,
            directory=tmp_path,
            timeout_seconds=0.2,
        )
