"""System packages: what is said where they can't be installed, and how apt-get is called."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config.services import install
from config.services.engine import EngineError
from config.services.stack import PROJECT
from tests.services.waiting import until

GONE = install.Tool("Gadget", ("no-such-gadget",), "gadget")


@pytest.fixture
def as_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Root on a Debian whose lock and policy are in a folder of the test's; returns the policy."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda name, path=None: f"/usr/bin/{name}")
    monkeypatch.setattr(install, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(install, "POLICY", tmp_path / "policy-rc.d")
    return tmp_path / "policy-rc.d"


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install.Tool, "find", lambda self: None)


def test_what_is_there_is_not_installed() -> None:
    install.ensure([install.Tool("Shell", ("sh",), "dash")])


def test_without_root_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(EngineError, match=r"Gadget.*sudo apt-get install .* gadget"):
        install.ensure([GONE])


def test_a_missing_program_names_the_command() -> None:
    with pytest.raises(EngineError, match=r"Gadget is missing.*apt-get install .* gadget"):
        GONE.require()


def test_no_server_is_started_by_apt_and_the_policy_goes_again(
    as_root: Path, missing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Sequence[str], str]] = []

    def apt_get(*arguments: str, lock: object) -> None:
        seen.append((arguments, as_root.read_text()))

    monkeypatch.setattr(install, "_apt_get", apt_get)
    with pytest.raises(EngineError, match="installed no no-such-gadget"):
        install.ensure([GONE])
    assert [arguments[0] for arguments, _ in seen] == ["update", "install"]
    assert seen[1][0][-1] == "gadget"
    assert all(policy.endswith("exit 101\n") for _, policy in seen)
    assert not as_root.exists()


def test_the_policy_goes_when_apt_fails(
    as_root: Path, missing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def apt_get(*arguments: str, lock: object) -> None:
        raise EngineError("apt-get failed")

    monkeypatch.setattr(install, "_apt_get", apt_get)
    with pytest.raises(EngineError, match="apt-get failed"):
        install.ensure([GONE])
    assert not as_root.exists()


def test_a_policy_of_the_machine_stays(
    as_root: Path, missing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_root.write_text("#!/bin/sh\nexit 0\n")
    monkeypatch.setattr(install, "_apt_get", lambda *arguments, lock: None)
    with pytest.raises(EngineError):
        install.ensure([GONE])
    assert as_root.read_text() == "#!/bin/sh\nexit 0\n"


def test_a_policy_that_a_killed_run_left_goes_with_the_next_look(
    as_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = f"#!/bin/sh\n{install.POLICY_MARK}\nexit 101\n"
    as_root.write_text(left)
    there = [install.Tool("Shell", ("sh",), "dash")]
    install.LOCK.touch()
    with install.LOCK.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another apt-get is at work
        install.ensure(there)
        assert as_root.read_text() == left
    install.ensure(there)
    assert not as_root.exists()
    as_root.write_text("#!/bin/sh\nexit 0\n")
    install.ensure(there)
    assert as_root.exists()


APT_GET = """#!/bin/sh
touch began
while [ ! -e go ]; do sleep 0.05; done
echo "$@" >> ended
"""


@pytest.fixture
def apt_get(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an apt-get that begins at once and ends when its file `go` is there."""
    folder = tmp_path / "apt"
    folder.mkdir()
    program = folder / "apt-get"
    program.write_text(APT_GET.replace("touch", f"cd {folder}; touch"))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return folder


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C as in a terminal, also where these tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("missing", "interruptible")
def test_ctrl_c_waits_for_apt_get(
    as_root: Path, apt_get: Path, caplog: pytest.LogCaptureFixture
) -> None:
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        try:
            until((apt_get / "began").exists)
            signal.pthread_kill(main, signal.SIGINT)
            until(lambda: "apt-get is at work" in caplog.text)
            assert as_root.exists()
            with install.LOCK.open() as lock, pytest.raises(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            (apt_get / "go").touch()

    with ThreadPoolExecutor(1) as pool:
        interrupted = pool.submit(interrupt)
        with pytest.raises(KeyboardInterrupt):
            install.ensure([GONE])
        interrupted.result(60)
    assert (apt_get / "ended").read_text().split()[-1] == "update"
    assert not as_root.exists()


def test_an_apt_get_that_outlives_its_run_keeps_the_lock(as_root: Path, apt_get: Path) -> None:
    """After a second Ctrl-C: its policy is not to go while it is at work."""
    install.LOCK.touch()
    script = (
        "import pathlib, sys\n"
        "from config.services import install\n"
        "install.LOCK, install.POLICY = map(pathlib.Path, sys.argv[1:])\n"
        "install.os.geteuid = lambda: 0\n"
        "install.Tool.find = lambda self: None\n"
        "install.ensure([install.Tool('Gadget', ('no-such-gadget',), 'gadget')])\n"
    )
    arguments = [sys.executable, "-c", script, str(install.LOCK), str(as_root)]
    run = subprocess.Popen(arguments, cwd=PROJECT)
    until((apt_get / "began").exists)
    run.kill()
    run.wait()
    there = [install.Tool("Shell", ("sh",), "dash")]
    install.ensure(there)
    assert as_root.exists()
    (apt_get / "go").touch()

    def gone() -> bool:
        install.ensure(there)
        return not as_root.exists()

    until(gone)
    assert (apt_get / "ended").exists()
