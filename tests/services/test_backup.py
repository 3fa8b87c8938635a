"""What is backed up comes back equal, and Stockroom starts on it."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import redis

from config.services import backup, restore
from config.services.backup_file import BackupError, Part, reading, writing
from config.services.engine import Engine
from config.services.stack import PROJECT, Stack
from config.services.stack_error import StackError
from config.services.valkey import Valkey
from tests.running import NOT_PASSED_ON

ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in NOT_PASSED_ON}
ENGINES = ["postgres", "valkey"]
TABLES = (
    "products_product ORDER BY id",
    "accounts_user ORDER BY id",
    "accounts_apitoken ORDER BY id",
    "transactions_order ORDER BY id",
    "initial_data ORDER BY id",
    "historical_transactions ORDER BY id",
)
SEED = """
INSERT INTO products_product (sku, name, description, active, created_at, updated_at)
SELECT 'S' || n, 'Straße ' || n, repeat('words, "quoted" ', n %% 7), n %% 2 = 0, now(), now()
FROM generate_series(1, 2000) n;
INSERT INTO transactions_order ("user", stockname, quantity, status, reason, detail, price, amount,
    credit_before, credit_after, order_id, verifications, claim, callback_url, decided_at)
SELECT %(user)s, 'stock1', 3, %(status)s, '', '', 1.10, %(amount)s, 10, 6.70,
    gen_random_uuid(), 1, 1, '', now();
"""


def rows(url: str) -> dict[str, list[Any]]:
    connection = psycopg2.connect(url)
    try:
        with connection.cursor() as cursor:
            found = {}
            for table in TABLES:
                cursor.execute(f"SELECT * FROM {table}")
                found[table] = cursor.fetchall()
            cursor.execute("SELECT nextval('products_product_id_seq')")
            found["next id"] = cursor.fetchall()
            return found
    finally:
        connection.close()


def values(environment: dict[str, str]) -> dict[str, Any]:
    """All that PRICES_REDIS_URL and KEYDB_URL hold."""
    found = {}
    for name in ("PRICES_REDIS_URL", "KEYDB_URL"):
        with redis.from_url(environment[name]) as client:
            found |= {(name, key): client.dump(key) for key in client.scan_iter()}
    return found


@contextmanager
def stack(var_dir: Path, roles: tuple[str, ...] = ()) -> Iterator[Stack]:
    with Stack(var_dir, ENVIRONMENT, roles=roles, engines=ENGINES, port=0) as stack:
        stack.start_engines()
        yield stack


@contextmanager
def as_running(stack: Stack) -> Iterator[None]:
    """What `make run` leaves for others: its lock, and where its engines are."""
    stack.write_run_env()
    with (stack.var_dir / "run.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def seed(stack: Stack) -> None:
    stack.prepare()
    stack.manage("ensure_demo")
    stack.manage("seed_ledger")
    connection = psycopg2.connect(stack.environment["DATABASE_URL"])
    with connection, connection.cursor() as cursor:
        cursor.execute(SEED, {"user": "user1", "status": "Accept", "amount": "3.30"})
    connection.close()
    with redis.from_url(stack.environment["PRICES_REDIS_URL"]) as client:
        value = {"id": 1, "time": ["090006"], "price": ["1.10"], "performance": 0}
        client.set("stock1", json.dumps(value))
        client.set("user1", '{"id": 1, "credit": 6.70}')
        beside = {"orders": "1", "taken": "3.30", "credit": "6.70", "given": "0"}
        client.hset("orders:user:user1", mapping=beside)
    with redis.from_url(stack.environment["KEYDB_URL"]) as client:
        client.set("1_Visa", "1300")


@pytest.fixture(scope="module")
def backed_up() -> Iterator[dict[str, Any]]:
    """A seeded Stockroom, backed up as if it ran, and once more when it stood still."""
    with tempfile.TemporaryDirectory(prefix="stockroom-own-") as name:
        folder = Path(name)
        said: list[str] = []
        with stack(folder / "var") as running:
            seed(running)
            with as_running(running):
                path = backup.backup(folder / "var", folder / "backups", ENVIRONMENT, said.append)
                facts = {
                    "rows": rows(running.environment["DATABASE_URL"]),
                    "values": values(running.environment),
                }
        yield {"folder": folder, "path": path, "said": said, **facts}


def test_a_backup_is_one_file_that_only_its_owner_reads(backed_up: dict[str, Any]) -> None:
    path: Path = backed_up["path"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir() if each.name != ".lock"] == [path.name]
    with tarfile.open(path) as tar:  # any tar reads it
        names = tar.getnames()
    assert names == [
        *("valkey.rdb", "postgres.dump", "secrets.env", "demo.txt", "manifest.json"),
    ]
    with reading(path) as found:
        assert found.manifest.running
        assert "products.0001_initial" in found.manifest.migrations
        versions = {part.engine: part.version for part in found.manifest.parts if part.engine}
    assert versions["postgres"].startswith("18.") and versions["valkey"].startswith("9.")
    assert any("Kafka's topics" in line for line in backed_up["said"])


def test_all_is_equal_after_a_restore_and_stockroom_starts_on_it(
    backed_up: dict[str, Any], engine_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    fresh = engine_folder / "fresh"
    fresh.mkdir()
    with monkeypatch.context() as patched:  # it takes the time it takes
        patched.setattr("config.services.stack.COMMAND_SECONDS", 0.01)
        restore.restore(fresh, backed_up["path"], ENVIRONMENT, no_question, said.append)
    assert any("No drift." in line for line in said), said
    assert not (fresh / "restoring").exists()
    with stack(fresh, ("web",)) as again:
        assert rows(again.environment["DATABASE_URL"]) == backed_up["rows"]
        assert values(again.environment) == backed_up["values"]
        again.prepare()
        again.start_processes()
        again.wait_ready(300.0)  # on a busy machine
        token = json.loads((fresh / "demo.txt").read_text())["token"]
        request = urllib.request.Request(
            f"{again.address}/api/products/?search=S1999",
            headers={"Authorization": f"Bearer {token}"},
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            assert [each["sku"] for each in json.load(answer)["results"]] == ["S1999"]
    # Written to the append-only file too: a second start has it as well.
    refuses_over_data(fresh, backed_up["path"])
    replaces_on_demand(fresh, backed_up)


def test_a_restore_whose_comparison_did_not_end_fails_and_changes_nothing(
    backed_up: dict[str, Any], engine_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config.services.stack.UNLIMITED_COMMANDS", {"migrate"})
    monkeypatch.setattr("config.services.stack.COMMAND_SECONDS", 0.01)
    with pytest.raises(StackError, match=r"reconcile_orders: .* did not end within"):
        restore.restore(engine_folder, backed_up["path"], ENVIRONMENT, no_question, print)
    assert not (engine_folder / "postgres").exists()


def test_a_python_too_old_to_unpack_safely_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(tarfile, "data_filter")
    with pytest.raises(BackupError, match=r"Python 3\.11\.4 or newer"):
        restore.restore(tmp_path, tmp_path / "x.tar", ENVIRONMENT, no_question, print)


def no_question(there: str) -> bool:
    raise AssertionError(there)


def refuses_over_data(var_dir: Path, path: Path) -> None:
    with pytest.raises(BackupError, match="Nothing restored"):
        restore.restore(var_dir, path, ENVIRONMENT, lambda there: False, print)
    assert (var_dir / "postgres" / "PG_VERSION").exists()


def replaces_on_demand(var_dir: Path, backed_up: dict[str, Any]) -> None:
    """An order accepted between Valkey's snapshot and the dump: its cost is taken again."""
    asked: list[str] = []
    changed = backed_up["folder"] / "changed.tar"
    with stack(backed_up["folder"] / "var") as running:
        connection = psycopg2.connect(running.environment["DATABASE_URL"])
        with connection, connection.cursor() as cursor:
            cursor.execute(
                SEED.replace("'S'", "'T'"), {"user": "user1", "status": "Accept", "amount": "2.20"}
            )
        connection.close()
        with as_running(running):
            changed = backup.backup(
                backed_up["folder"] / "var", changed.with_suffix(""), ENVIRONMENT, print
            )
    said: list[str] = []
    restore.restore(
        var_dir, changed, ENVIRONMENT, lambda there: not asked.append(there), said.append
    )
    assert "postgres, valkey" in asked[0]
    assert any("user1: 2.2 deducted" in line for line in said), said
    (aside,) = var_dir.glob("replaced-*")
    assert {"postgres", "valkey", "secrets.env"} <= {each.name for each in aside.iterdir()}
    with stack(var_dir) as again, redis.from_url(again.environment["PRICES_REDIS_URL"]) as client:
        value: Any = client.get("user1")
        assert b"4.5" in value


def test_a_stopped_stockroom_is_backed_up_with_its_brokers(
    backed_up: dict[str, Any], engine_folder: Path
) -> None:
    var_dir = backed_up["folder"] / "var"
    for name in ("kafka/topics/data-0/00000000000000000000.log", "rabbitmq/mnesia/node/x.DCD"):
        (var_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (var_dir / name).write_bytes(os.urandom(100_000))
    said: list[str] = []
    path = backup.backup(var_dir, engine_folder / "backups", ENVIRONMENT, said.append)
    with reading(path) as found:
        assert not found.manifest.running
        found.check(print)
        with (
            found.open("kafka.tar.gz") as packed,
            tarfile.open(fileobj=packed, mode="r|gz") as tar,
        ):
            tar.extractall(engine_folder / "out", filter="data")
    for name in ("topics/data-0/00000000000000000000.log",):
        left, right = engine_folder / "out" / name, var_dir / "kafka" / name
        assert left.read_bytes() == right.read_bytes()
    assert not any("not in it" in line for line in said)


def make(var_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As at a terminal, with the virtual environment of these tests."""
    venv = Path(sys.prefix)
    command = ["make", f"VENV={venv}", "-o", str(venv / ".installed"), *arguments]
    environment = {**ENVIRONMENT, "STOCKROOM_VAR": str(var_dir)}
    return subprocess.run(
        command,
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def test_make_backs_up_restores_and_asks(backed_up: dict[str, Any], engine_folder: Path) -> None:
    var_dir, fresh, out = backed_up["folder"] / "var", engine_folder / "var", engine_folder / "out"
    made = make(var_dir, "backup", f"TO={out}")
    assert made.returncode == 0, made.stderr
    (path,) = out.glob("*.tar")
    assert "Which? make restore FILE=" in make(fresh, "restore").stdout
    restored = make(fresh, "restore", f"FILE={path}")
    assert restored.returncode == 0, restored.stderr
    again = make(fresh, "restore", f"FILE={path}")
    assert again.returncode != 0 and "FORCE=1 replaces it." in again.stderr
    assert "--force" in make(fresh, "-n", "restore", f"FILE={path}", "FORCE=1").stdout
    assert (fresh / "demo.txt").read_text() == (var_dir / "demo.txt").read_text()


@pytest.mark.parametrize(
    "others",
    [
        {"REDIS_URL"},
        {"PRICES_REDIS_URL"},
        {"REDIS_URL", "PRICES_REDIS_URL"},
        {"KEYDB_URL", "LEDGER_DATABASE_URL", "AMQP_URL", "KAFKA_BOOTSTRAP_SERVERS"},
    ],
    ids=lambda names: "+".join(sorted(names)),
)
def test_what_is_in_our_valkey_is_in_it_and_all_others_are_named(
    engine_folder: Path, others: set[str]
) -> None:
    """Valkey is ours while one of its three addresses is."""
    given = {name: f"redis://:secret@elsewhere/{name}" for name in {*others, "DATABASE_URL"}}
    engine = Valkey(engine_folder)
    engine.start()
    engine.close()
    for name in ("kafka/topics", "rabbitmq/mnesia"):  # left from before
        (engine_folder / name).mkdir(parents=True)
    said: list[str] = []
    environment = {**ENVIRONMENT, "AMQP_URL": "amqp://elsewhere", **given}
    path = backup.backup(engine_folder, engine_folder / "to", environment, said.append)
    with reading(path) as found:
        names = {part.name for part in found.manifest.parts if part.engine}
    kafka = set() if "KAFKA_BOOTSTRAP_SERVERS" in others else {"kafka.tar.gz"}
    assert names == {"valkey.rdb", *kafka}
    told = {line.split()[0] for line in said if "not Stockroom's own" in line}
    assert told == {*given, "AMQP_URL"}


def test_a_restore_leaves_credit_alone_that_is_on_a_server_of_others(
    backed_up: dict[str, Any], own_valkey: Callable[[], Engine], engine_folder: Path
) -> None:
    """Tried with the .env of a Stockroom that goes on: its credit lacks nothing."""
    live = own_valkey().variables()["PRICES_REDIS_URL"]
    with redis.from_url(live) as client:
        client.set("user1", '{"id": 1, "credit": 10}')
    said: list[str] = []
    fresh = engine_folder / "fresh"
    fresh.mkdir()
    environment = {**ENVIRONMENT, "PRICES_REDIS_URL": live}
    restore.restore(fresh, backed_up["path"], environment, no_question, said.append)
    with redis.from_url(live) as client:
        assert client.get("user1") == b'{"id": 1, "credit": 10}'
        assert client.keys() == [b"user1"]
    assert any("PRICES_REDIS_URL names a server of yours" in line for line in said), said


def test_a_killed_backup_leaves_nothing_that_looks_whole(
    backed_up: dict[str, Any], tmp_path: Path
) -> None:
    code = f"""
import sys
from pathlib import Path
from config.services.backup_file import writing
def slow():
    while True:
        yield bytes(1000)
        print("written", flush=True)
with writing(Path({str(tmp_path / "b" / "x.tar")!r})) as writer:
    writer.add("postgres.dump", "postgres", "18", slow())
"""
    child = subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert not list((tmp_path / "b").glob("*.tar"))
    (partial,) = (tmp_path / "b").glob(".x.tar.partial-*")
    with pytest.raises(BackupError), reading(partial):
        pass
    with writing(tmp_path / "b" / "y.tar") as writer:
        writer.add("secrets.env", "", "", [b"x"])
        writer.finish("2026-01-01T00:00:00+00:00", False, [])
    assert not partial.exists()
    with reading(tmp_path / "b" / "y.tar") as found:
        found.check(print)


def test_a_cut_or_changed_file_is_refused_before_anything_changes(
    backed_up: dict[str, Any], tmp_path: Path
) -> None:
    whole = backed_up["path"].read_bytes()
    cut, changed = tmp_path / "cut.tar", tmp_path / "changed.tar"
    cut.write_bytes(whole[: len(whole) // 2])
    middle = len(whole) // 2
    changed.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    (tmp_path / "no.tar").write_text("something else")
    var_dir = tmp_path / "var"
    var_dir.mkdir()
    for name, words in (("cut", "whole|read"), ("changed", "damaged"), ("no", "read")):
        with pytest.raises(BackupError, match=words):
            restore.restore(var_dir, tmp_path / f"{name}.tar", ENVIRONMENT, no_question, print)
    assert [each.name for each in var_dir.iterdir()] == ["run.lock"]


def test_a_newer_backup_is_refused(backed_up: dict[str, Any]) -> None:
    with reading(backed_up["path"]) as found:
        manifest = found.manifest
    restore.check_versions(manifest, ENVIRONMENT)
    with pytest.raises(BackupError, match=r"newer Stockroom \(its tables are at products.0999_x\)"):
        restore.check_versions(
            type(manifest)(**{**vars(manifest), "migrations": ["products.0999_x"]}), ENVIRONMENT
        )
    parts = [type(p)(**{**vars(p), "version": "19.1"}) for p in manifest.parts if p.engine]
    with pytest.raises(BackupError, match=r"PostgreSQL 19\.1"):
        restore.check_versions(type(manifest)(**{**vars(manifest), "parts": parts}), ENVIRONMENT)
    for engine, name in (("kafka", "kafka.tar.gz"), ("rabbitmq", "rabbitmq.tar.gz"), ("x", "x")):
        parts = [Part(name, engine, "99.1.0", 0, "")]
        with pytest.raises(BackupError, match=r"99\.1\.0|holds 'x'"):
            restore.check_versions(type(manifest)(**{**vars(manifest), "parts": parts}), {})
    with pytest.raises(BackupError, match="DATABASE_URL names a server of yours"):
        restore.check_versions(manifest, {"DATABASE_URL": "postgresql://elsewhere/x"})


def test_a_running_stockroom_is_not_restored_over(tmp_path: Path) -> None:
    with (tmp_path / "run.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BackupError, match="stop it first"):
            restore.restore(tmp_path, tmp_path / "x.tar", ENVIRONMENT, no_question, print)
