"""The systemd units, by systemd's own check where it is there, and what runs a role."""

import configparser
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from config.services.processes import roles
from tests.debian import program

ROOT = Path(__file__).resolve().parents[2]
UNITS = ROOT / "deploy/systemd"
ROLE = ROOT / "deploy/role"


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNITS / name)
    return parser


def test_systemd_finds_nothing_wrong(tmp_path):
    analyze = program("systemd-analyze", "systemd", "libsystemd-shared")
    text = (UNITS / "stockroom@.service").read_text()
    # The project is somewhere else here.
    (tmp_path / "stockroom@sales.service").write_text(text.replace("/srv/stockroom", str(ROOT)))
    shutil.copy(UNITS / "stockroom.target", tmp_path)
    done = subprocess.run(
        [analyze, "verify", "--man=no", *map(str, tmp_path.iterdir())],
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if "stockroom" in line]
    assert (done.returncode, said) == (0, []), done.stderr


def test_a_role_has_the_time_it_needs_to_end_and_comes_back():
    service = unit("stockroom@.service")["Service"]
    longest = max(role.stop_seconds for role in roles(ROOT, {}, 3).values())
    assert int(service["TimeoutStopSec"]) > longest
    assert (service["Restart"], service["KillMode"]) == ("always", "mixed")
    assert service["ExecStart"].split() == ["/srv/stockroom/deploy/role", "%i"]
    assert service["User"] != "root"


def hears_of_hangups() -> None:
    """Under `nohup` all children inherit deaf ears."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.mark.parametrize(("role", "reloads"), [("web", True), ("sales", False)])
def test_web_alone_can_be_told_to_start_new_processes(role: str, reloads: bool):
    command = unit("stockroom@.service")["Service"]["ExecReload"].replace("%i", role)
    with subprocess.Popen(["sleep", "60"], preexec_fn=hears_of_hangups) as child:
        try:
            done = subprocess.run(
                shlex.split(command), env={"MAINPID": str(child.pid)}, check=False
            )
            assert (done.returncode == 0) is reloads
            if not reloads:
                assert child.poll() is None
                child.kill()
            assert child.wait(60) == -(signal.SIGHUP if reloads else signal.SIGKILL)
        finally:
            child.kill()


def test_it_runs_the_line_of_the_procfile_in_its_own_place(tmp_path):
    (tmp_path / "deploy").mkdir()
    role = shutil.copy(ROLE, tmp_path / "deploy/role")
    (tmp_path / "Procfile").write_text("web: no\nsales: exec sh -c 'echo $$ $PWD ${A:-b}'\n")
    child = subprocess.Popen([role, "sales"], stdout=subprocess.PIPE, text=True, cwd="/")
    said, _ = child.communicate()
    assert said.split() == [str(child.pid), str(tmp_path), "b"]


def test_it_says_which_role_there_is_not():
    done = subprocess.run([ROLE, "cook"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "The Procfile has no role cook.\n")
