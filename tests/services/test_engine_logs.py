"""An engine's log is bounded while it runs, and holds no values of statements that failed."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
import redis

from config.services.engine import Engine
from config.services.stack import Stack
from tests.services.waiting import until

LIMIT = 20_000


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.services.engine.LOG_LIMIT_BYTES", LIMIT)


def fill(engine: Engine) -> None:
    """Have it write into its log more than it may hold."""
    with redis.from_url(engine.variables()["REDIS_URL"]) as client:
        for number in range(LIMIT // 50):
            client.execute_command("DEBUG", "LOG", f"line {number} {'x' * 80}")


@pytest.mark.usefixtures("short")
def test_a_log_is_bounded_while_the_engine_runs(engine_folder: Path) -> None:
    with Stack(engine_folder, {}, roles=[], engines=["valkey"], port=0) as stack:
        engine = stack.engines["valkey"]
        engine.settings["enable-debug-command"] = "yes"  # type: ignore[attr-defined]
        stack.start_engines()
        pid = engine.pid
        older = engine.log_path.with_suffix(".log.1")
        for _ in range(2):
            older.unlink(missing_ok=True)
            fill(engine)
            until(lambda: older.exists() and engine.log_path.stat().st_size <= LIMIT)
            assert older.stat().st_size <= LIMIT
        assert engine.pid == pid
        with redis.from_url(engine.variables()["REDIS_URL"]) as client:
            client.execute_command("DEBUG", "LOG", "goes on")
        until(lambda: b"goes on" in engine.log_path.read_bytes())
        assert b"\0" not in engine.log_path.read_bytes()  # it appends: the cut left no hole


@pytest.mark.usefixtures("short")
def test_where_no_copy_can_be_made_the_log_is_bounded_all_the_same(
    own_valkey: Callable[[], Engine],
) -> None:
    engine = own_valkey()
    with engine.log_path.open("ab") as log:
        log.write(b"x" * 2 * LIMIT)
    older = engine.log_path.with_suffix(".log.1")
    older.symlink_to("/dev/full")
    engine.bound_log()
    assert engine.log_path.stat().st_size <= LIMIT
    assert not older.is_symlink()


def test_postgres_does_not_log_the_values_of_a_statement_that_failed(
    own_postgres: Callable[[], Engine],
) -> None:
    engine = own_postgres()
    with closing(psycopg2.connect(engine.variables()["DATABASE_URL"])) as connection:
        with connection.cursor() as cursor, pytest.raises(psycopg2.errors.UndefinedTable):
            cursor.execute("INSERT INTO nowhere VALUES (%s)", ["whsec-of-somebody"])
    until(lambda: 'relation "nowhere" does not exist' in engine.log_path.read_text())
    engine.stop()
    assert "whsec-of-somebody" not in engine.log_path.read_text()
