"""Where addresses and secrets come from: the environment first, then what this machine makes."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from environs import Env

from config.services import env_file
from config.services.engines import ENGINES
from config.services.secret_file import secret
from config.services.stack import PROJECT, WEBHOOKS_HERE, Stack
from config.services.stack_error import StackError
from config.services.supervisor import demo_account, var_dir, with_env_file

VALKEY = {"REDIS_URL": "redis://h/0", "PRICES_REDIS_URL": "redis://h/1", "KEYDB_URL": "redis://h/2"}


def test_a_given_address_wins_and_its_engine_is_not_made(tmp_path: Path) -> None:
    given = {
        "DATABASE_URL": "postgresql://elsewhere/shop",
        **VALKEY,
        "KAFKA_BOOTSTRAP_SERVERS": "k:1",
    }
    with Stack(tmp_path, given, port=0) as stack:
        assert list(stack.engines) == ["rabbitmq"]
        for process in stack.processes.values():
            assert given.items() <= process.environment.items()
            assert process.environment["AMQP_URL"].startswith("amqp://stockroom:")


def test_valkey_stays_for_the_addresses_that_are_not_given(tmp_path: Path) -> None:
    with Stack(tmp_path, {"REDIS_URL": "redis://elsewhere/0"}, port=0) as stack:
        assert "valkey" in stack.engines
        assert stack.environment["REDIS_URL"] == "redis://elsewhere/0"
        assert stack.environment["KEYDB_URL"] == stack.engines["valkey"].variables()["KEYDB_URL"]


def test_an_empty_variable_counts_as_not_given(tmp_path: Path) -> None:
    with Stack(tmp_path, {"DATABASE_URL": ""}, port=0) as stack:
        assert stack.environment["DATABASE_URL"].startswith("postgresql://stockroom:")


@pytest.mark.parametrize("secure", [None, "", "0", "no"])
def test_receivers_on_this_machine_are_for_plain_http(tmp_path: Path, secure: str | None) -> None:
    with Stack(tmp_path, {} if secure is None else {"SECURE": secure}, port=0) as stack:
        assert not stack.secure
        assert WEBHOOKS_HERE.items() <= stack.environment.items()


@pytest.mark.parametrize("secure", ["1", "yes", "True", "nonsense"])
def test_where_others_reach_it_no_webhook_reaches_this_machine(tmp_path: Path, secure: str) -> None:
    with Stack(tmp_path, {"SECURE": secure, "WEBHOOK_PORTS": "443"}, port=0) as stack:
        assert stack.secure
        assert WEBHOOKS_HERE.keys() & stack.environment.keys() == {"WEBHOOK_PORTS"}
        assert stack.environment["WEBHOOK_PORTS"] == "443"


@pytest.mark.parametrize("secure", ["0", "1"])
def test_the_networks_of_webhooks_can_be_emptied(tmp_path: Path, secure: str) -> None:
    given = {"SECURE": secure, "WEBHOOK_ALLOWED_NETWORKS": "", "WEBHOOK_PORTS": ""}
    with Stack(tmp_path, given, port=0) as stack:
        assert given.items() <= stack.environment.items()


def test_a_demo_account_is_made_for_plain_http_only(tmp_path: Path) -> None:
    with Stack(tmp_path / "others", {"SECURE": "1"}, port=0) as stack:
        assert "createsuperuser" in demo_account(stack)
    with Stack(tmp_path / "here", {}, port=0) as stack:
        stack.stop()  # so that no manage.py runs
        with pytest.raises(StackError, match="Stopping"):
            demo_account(stack)


def test_engines_can_be_limited(tmp_path: Path) -> None:
    with Stack(tmp_path, {}, port=0, engines=["postgres", "valkey"]) as stack:
        assert list(stack.engines) == ["postgres", "valkey"]
        assert "AMQP_URL" not in stack.environment


def test_an_unknown_engine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="no engine 'mongo'"):
        Stack(tmp_path, {}, port=0, engines=["mongo"])


@pytest.mark.parametrize("port", ["no", "0", "-1", "70000", "9" * 5000])
def test_a_wrong_port_is_refused(tmp_path: Path, port: str) -> None:
    with pytest.raises(StackError, match="PORT"):
        Stack(tmp_path, {"PORT": port})


@pytest.mark.parametrize("number", ["two", "0", "-1", "1.5", "65", "9" * 5000])
def test_a_wrong_number_of_web_processes_is_refused(tmp_path: Path, number: str) -> None:
    with pytest.raises(StackError, match=r"WEB_CONCURRENCY is .* from 1 to 64"):
        Stack(tmp_path, {"WEB_CONCURRENCY": number}, port=0)


def test_the_number_of_web_processes_reaches_gunicorn(tmp_path: Path) -> None:
    with Stack(tmp_path, {"WEB_CONCURRENCY": "64"}, port=0) as stack:
        command = stack.processes["web.1"].command
        assert command[command.index("--workers") + 1] == "64"


def test_a_taken_port_that_was_asked_for_is_refused(tmp_path: Path) -> None:
    with Stack(tmp_path / "a", {}, port=0) as stack:
        taken = stack.address.rpartition(":")[2]
        with pytest.raises(StackError, match=f"{taken}.*Set PORT"):
            Stack(tmp_path / "b", {"PORT": taken})


def test_a_taken_default_port_is_passed_over(tmp_path: Path) -> None:
    with Stack(tmp_path / "a", {}) as one, Stack(tmp_path / "b", {}) as two:
        assert one.address != two.address


def test_two_stacks_share_no_address(tmp_path: Path) -> None:
    names = [name for engine in ENGINES.values() for name in engine.provides]
    with Stack(tmp_path / "a", {}, port=0) as one, Stack(tmp_path / "b", {}, port=0) as two:
        for name in [*names, "SECRET_KEY"]:
            assert one.environment[name] != two.environment[name]


def test_run_env_leads_to_the_engines_and_goes_with_them(tmp_path: Path) -> None:
    with Stack(tmp_path, {}, port=0) as stack:
        stack.write_run_env()
        path = tmp_path / "run.env"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        written = env_file.read(path)
        assert written["DATABASE_URL"] == stack.environment["DATABASE_URL"]
        assert written["SECRET_KEY"] == stack.environment["SECRET_KEY"]
    assert not path.exists()


def test_secrets_are_made_once_and_kept_private(tmp_path: Path) -> None:
    first = secret(tmp_path, "SECRET_KEY")
    assert len(first) >= 50
    assert secret(tmp_path, "OTHER") != first
    assert secret(tmp_path, "SECRET_KEY") == first
    assert stat.S_IMODE((tmp_path / "secrets.env").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("A=b", {"A": "b"}),
        ("  export A = b ", {"A": "b"}),
        ("A='b # c'", {"A": "b # c"}),
        ('A="b c"', {"A": "b c"}),
        ("A=b # c", {"A": "b"}),
        ("A='b' # c", {"A": "b"}),
        ("A=redis://h/0#f", {"A": "redis://h/0#f"}),
        ("A=", {"A": ""}),
        ("# A=b", {}),
        ("no assignment", {}),
    ],
)
def test_lines_of_an_env_file(tmp_path: Path, line: str, expected: dict[str, str]) -> None:
    path = tmp_path / ".env"
    path.write_text(line + "\n")
    assert env_file.read(path) == expected


def test_an_env_file_is_read_as_the_settings_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ".env"
    path.write_text("FOLDER=${HOME}/x\nexport QUOTED='a # b' # c\nEMPTY=\nnothing\nPRICE=5$\n")
    read = env_file.read(path)
    assert read["FOLDER"] == f"{os.environ['HOME']}/x"
    for name in read:
        monkeypatch.setenv(name, "")  # so that it is restored
        monkeypatch.delenv(name)
    env = Env()
    env.read_env(path, recurse=False)
    assert {name: env.str(name) for name in read} == read


def test_a_missing_env_file_is_empty(tmp_path: Path) -> None:
    assert env_file.read(tmp_path / ".env") == {}


def test_the_state_folder_is_named_by_the_environment_then_by_the_env_file(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(f"STOCKROOM_VAR={tmp_path / 'of the file'}\n")
    assert var_dir(with_env_file({}, path)) == tmp_path / "of the file"
    given = {"STOCKROOM_VAR": str(tmp_path / "given")}
    assert var_dir(with_env_file(given, path)) == tmp_path / "given"
    assert (tmp_path / "given").is_dir()


def test_an_env_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"A=\xff\n")
    with pytest.raises(StackError, match=f"{path} can't be read"):
        with_env_file({}, path)


def test_a_state_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "log").touch()
    wrong = [file, file / "below", circle, taken, tmp_path / ("x" * 300)]
    wrong += [Path("/proc/self"), Path("/proc/stockroom")]  # not even root can write there
    if os.geteuid() != 0:
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o500)
        wrong.append(closed)
    for folder in wrong:
        with pytest.raises(StackError, match="STOCKROOM_VAR"):
            var_dir({"STOCKROOM_VAR": str(folder)})
        with pytest.raises(StackError, match="STOCKROOM_VAR"):
            Stack(folder, {}, port=0)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what `make run` needs until the first engine starts."""
    folder = tmp_path / "project"
    shutil.copytree(PROJECT / "config", folder / "config")
    return folder


def run_in(project: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """`make run`'s command in this project, with an environment of these variables only."""
    return subprocess.run(
        [sys.executable, "-m", "config.services", "run"],
        cwd=project,
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_run_takes_its_state_folder_from_the_env_file(project: Path) -> None:
    # The wrong number ends it before anything is started.
    (project / ".env").write_text("STOCKROOM_VAR=state\nWEB_CONCURRENCY=0\n")
    done = run_in(project)
    assert done.returncode == 1 and done.stderr == ""
    assert "WEB_CONCURRENCY is '0', but must be a number from 1 to 64" in done.stdout
    assert "starting" not in done.stdout
    assert (project / "state" / "run.lock").exists()
    assert not (project / "var").exists()


def test_run_removes_the_addresses_of_one_that_was_killed(project: Path) -> None:
    left = project / "var" / "run.env"
    left.parent.mkdir()
    left.write_text("DATABASE_URL='postgresql://stockroom@127.0.0.1:5/stockroom'\n")
    assert run_in(project, WEB_CONCURRENCY="0").returncode == 1
    assert not left.exists()


def test_run_says_that_its_state_folder_is_a_file(project: Path) -> None:
    (project / "var").touch()
    done = run_in(project)
    assert done.returncode == 1 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert str(project / "var") in line and "Set STOCKROOM_VAR" in line


def test_run_says_that_its_lock_cannot_be_written(project: Path) -> None:
    (project / "var" / "run.lock").mkdir(parents=True)
    done = run_in(project)
    assert done.returncode == 1 and done.stderr == ""
    assert "run.lock can't be written: Is a directory" in done.stdout


def test_the_run_of_tests_has_its_own_state_folder() -> None:
    assert "stockroom-tests-" in os.environ["STOCKROOM_VAR"]
