"""Where addresses and secrets come from: the environment first, then what this machine makes."""

import os
import stat
from pathlib import Path

import pytest

from config.services import env_file
from config.services.secret_file import secret
from config.services.stack import ENGINES, Stack, StackError

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


def test_engines_can_be_limited(tmp_path: Path) -> None:
    with Stack(tmp_path, {}, port=0, engines=["postgres", "valkey"]) as stack:
        assert list(stack.engines) == ["postgres", "valkey"]
        assert "AMQP_URL" not in stack.environment


def test_an_unknown_engine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="no engine 'mongo'"):
        Stack(tmp_path, {}, port=0, engines=["mongo"])


@pytest.mark.parametrize("port", ["no", "0", "70000"])
def test_a_wrong_port_is_refused(tmp_path: Path, port: str) -> None:
    with pytest.raises(StackError, match="PORT"):
        Stack(tmp_path, {"PORT": port})


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


def test_a_missing_env_file_is_empty(tmp_path: Path) -> None:
    assert env_file.read(tmp_path / ".env") == {}


def test_the_run_of_tests_has_its_own_state_folder() -> None:
    assert "stockroom-tests-" in os.environ["STOCKROOM_VAR"]
