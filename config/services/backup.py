"""`make backup`: what the engines of `make run` hold, as one file, while Stockroom runs or not.

Valkey comes before PostgreSQL: an order that is accepted in between is then one whose deduction
Valkey lost, which restore.py takes again. The other way round it would be credit that is gone for
an order nobody has. Brokers can be copied only while they stand still.
"""

import gzip
import os
import shutil
import subprocess
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import redis

from config.services import data_format, env_file
from config.services.backup_file import CHUNK_BYTES, BackupError, Manifest, Writer, writing
from config.services.engines import ENGINES
from config.services.postgres import DATABASE, binary, tool_version
from config.services.spawn import kill_tree, spawn
from config.services.state_folder import finish_cut, lock_of

POSTGRES_PART, VALKEY_PART = "postgres.dump", "valkey.rdb"
# Of a stopped broker: its folder, and what of it is data.
COLD = {"kafka": ("kafka.tar.gz", "topics"), "rabbitmq": ("rabbitmq.tar.gz", "mnesia")}
FILES = ("secrets.env", "demo.txt")
# By variable with an address: the secret that our own server of it has as its password.
PASSWORDS = {
    "DATABASE_URL": "POSTGRES_PASSWORD",
    "LEDGER_DATABASE_URL": "POSTGRES_PASSWORD",
    "REDIS_URL": "VALKEY_PASSWORD",
    "PRICES_REDIS_URL": "VALKEY_PASSWORD",
    "KEYDB_URL": "VALKEY_PASSWORD",
    "AMQP_URL": "RABBITMQ_PASSWORD",
}
SNAPSHOT_SECONDS = 3600.0
POLL_SECONDS = 0.05
Say = Callable[[str], object]


def backup(var_dir: Path, folder: Path, environment: Mapping[str, str], say: Say) -> Path:
    """Write a backup of `var_dir` into `folder`; returns the file's path.

    `environment` has the variables that `make run` would have: an engine whose address it gives
    is not ours and not in the backup. Raises BackupError, and EngineError where an engine that
    stood still does not start or could not read its data.
    """
    made_at = datetime.now(UTC)
    path = folder / f"stockroom-{made_at:%Y-%m-%dT%H%M%SZ}.tar"
    with ExitStack() as stack:
        lock = lock_of(var_dir)
        if lock is None:
            addresses = {**environment, **_running(var_dir)}
        else:
            stack.enter_context(lock)
            finish_cut(var_dir, say)
            addresses = stack.enter_context(_started(var_dir, environment, say))
        writer = stack.enter_context(writing(path))
        _name_others(addresses, environment, var_dir, say)
        if lock is not None:
            _add_brokers(writer, var_dir, environment, say)
        valkey = _own(addresses, "valkey", var_dir)
        if valkey is not None:
            _add_valkey(writer, var_dir, valkey, say)
        migrations: list[str] = []
        postgres = _own(addresses, "postgres", var_dir)
        if postgres is not None:
            migrations = _migrations(postgres)
            _add_postgres(writer, var_dir, postgres, say)
        for name in FILES:
            if (var_dir / name).exists():
                writer.add(name, "", "", [(var_dir / name).read_bytes()])
        manifest = writer.finish(made_at.isoformat(), lock is None, migrations)
    _tell(path, manifest, say)
    return path


def secrets_of(var_dir: Path) -> dict[str, str]:
    """The secrets of a state folder, none where it has no file of them."""
    path = var_dir / "secrets.env"
    return env_file.read(path) if path.exists() else {}


def _running(var_dir: Path) -> dict[str, str]:
    path = var_dir / "run.env"
    if not path.exists():
        raise BackupError("Stockroom is starting or stopping: try again in a moment.")
    return env_file.read(path)


@contextmanager
def _started(var_dir: Path, environment: Mapping[str, str], say: Say) -> Iterator[dict[str, str]]:
    """Addresses of PostgreSQL and Valkey, which stand still and are started for this backup."""
    addresses = dict(environment)
    used = [n for n in ("postgres", "valkey") if not data_format.is_given(n, environment)]
    names = [name for name in used if (var_dir / name).is_dir()]
    if not names and not _brokers(var_dir, environment):
        raise BackupError(f"{var_dir} holds no data: nothing has run here yet.")
    for missing in set(used) - set(names):
        say(f"{var_dir} holds no data of {data_format.NAMES[missing]}.")
    data_format.check(var_dir, environment, names)
    with ExitStack() as stack:
        for name in names:
            engine = ENGINES[name](var_dir)
            stack.callback(engine.close)
            say(f"starting {name} for the backup")
            engine.start()
            addresses |= {n: v for n, v in engine.variables().items() if not environment.get(n)}
        yield addresses


def _own(addresses: Mapping[str, str], engine: str, var_dir: Path) -> str | None:
    """The first of an engine's addresses that is of ours, by its password."""
    for variable in ENGINES[engine].provides:
        if _is_own(addresses.get(variable, ""), PASSWORDS[variable], var_dir):
            return addresses[variable]
    return None


def _is_own(url: str, password: str, var_dir: Path) -> bool:
    found = urlsplit(url).password
    return found is not None and found == secrets_of(var_dir).get(password)


def _name_others(
    addresses: Mapping[str, str], environment: Mapping[str, str], var_dir: Path, say: Say
) -> None:
    """Say which servers are not in the backup because they are somebody else's."""
    found = [n for n in PASSWORDS if addresses.get(n)]
    others = [n for n in found if not _is_own(addresses[n], PASSWORDS[n], var_dir)]
    # Kafka has no password to know it by.
    others += [n for n in ENGINES["kafka"].provides if environment.get(n)]
    for name in others:
        say(f"{name} names a server that is not Stockroom's own: back it up by its own means.")


def _add_valkey(writer: Writer, var_dir: Path, url: str, say: Say) -> None:
    """A snapshot of all its databases at one instant, made by a fork beside its clients."""
    say("Valkey: a snapshot of prices, credit, balances and the broker")
    snapshot = var_dir / "valkey" / "dump.rdb"
    try:
        with redis.Redis.from_url(url) as client:
            version = client.info("server").get("valkey_version", "")
            before = client.info("persistence")["rdb_saves"]
            client.execute_command("BGSAVE", "SCHEDULE")
            deadline = time.monotonic() + SNAPSHOT_SECONDS
            while True:
                now = client.info("persistence")
                # Counted when it begins, which may have to wait for a rewrite of the other file.
                if now["rdb_saves"] > before and not now["rdb_bgsave_in_progress"]:
                    if now["rdb_last_bgsave_status"] == "ok":
                        break
                    raise BackupError(
                        f"Valkey could write no snapshot: is the disk full? ({var_dir / 'log'})"
                    )
                if time.monotonic() > deadline:
                    raise BackupError("Valkey's snapshot takes too long; it may still end.")
                time.sleep(POLL_SECONDS)
    except redis.RedisError as error:
        raise BackupError(f"Valkey can't be read: {error}") from error
    with snapshot.open("rb") as file:
        snapshot.unlink()  # it would be as large as the data, and its twin is the append-only file
        writer.add(VALKEY_PART, "valkey", version, iter(lambda: file.read(CHUNK_BYTES), b""))


def _add_postgres(writer: Writer, var_dir: Path, url: str, say: Say) -> None:
    """A dump in one transaction; as superuser, since others may own tables of the ledger."""
    say("PostgreSQL: a dump, beside all that goes on")
    address = urlsplit(url)
    command = [
        *(str(binary("pg_dump")), "--format=custom", "--compress=gzip:1"),
        *("--host", str(address.hostname), "--port", str(address.port), "--username=postgres"),
        # As after a crash: imports read again what was only staged.
        *("--no-unlogged-table-data", "--no-password", "--lock-wait-timeout=60000"),
        DATABASE,
    ]
    with dumping(command, var_dir) as chunks:
        writer.add(POSTGRES_PART, "postgres", tool_version(), chunks)


@contextmanager
def dumping(command: list[str], var_dir: Path) -> Iterator[Iterator[bytes]]:
    """What a program of PostgreSQL writes. Raises BackupError with its words where it fails."""
    with tempfile.TemporaryFile() as errors:
        child = spawn(
            command,
            environment=client_environment(var_dir),
            directory=var_dir,
            output=subprocess.PIPE,
            errors=errors,
        )

        def chunks() -> Iterator[bytes]:
            assert child.stdout is not None
            while chunk := child.stdout.read(CHUNK_BYTES):
                yield chunk
            if child.wait() != 0:
                errors.seek(0)
                text = errors.read().decode(errors="replace").strip()
                raise BackupError(f"{Path(command[0]).name} failed: {text[-2000:]}")

        try:
            yield chunks()
        finally:
            kill_tree(child)
            with suppress(OSError):
                assert child.stdout is not None
                child.stdout.close()


def client_environment(var_dir: Path) -> dict[str, str]:
    """The environment of PostgreSQL's programs, with the password of its superuser."""
    kept = {key: value for key, value in os.environ.items() if key[:2] != "PG"}
    password = secrets_of(var_dir).get("POSTGRES_ADMIN_PASSWORD", "")
    return {**kept, "PGPASSWORD": password, "LC_MESSAGES": "C"}


def _migrations(url: str) -> list[str]:
    connection = None
    try:
        connection = psycopg2.connect(url)
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT app || '.' || name FROM django_migrations ORDER BY 1")
            return [row[0] for row in cursor.fetchall()]
    except psycopg2.errors.UndefinedTable:
        return []
    except psycopg2.Error as error:
        raise BackupError(f"PostgreSQL can't be read: {str(error).strip()}") from error
    finally:
        if connection is not None:
            connection.close()


def _brokers(var_dir: Path, environment: Mapping[str, str]) -> list[str]:
    """The brokers with data here that are in use, not left from before another's was given."""
    held = [engine for engine, (_, data) in COLD.items() if (var_dir / engine / data).is_dir()]
    return [engine for engine in held if not data_format.is_given(engine, environment)]


def _add_brokers(writer: Writer, var_dir: Path, environment: Mapping[str, str], say: Say) -> None:
    """Their folders as they are: nothing writes to them while Stockroom stands still."""
    last_run = data_format.recorded(var_dir)
    for engine in _brokers(var_dir, environment):
        name, data = COLD[engine]
        say(f"{engine}: its folder")
        version = last_run.get(engine) or data_format.VERSIONS[engine]()
        with _packed(var_dir / engine / data) as chunks:
            writer.add(name, engine, version, chunks)


@contextmanager
def _packed(folder: Path) -> Iterator[Iterator[bytes]]:
    """The bytes of a tar.gz of a folder, made by a thread while they are read."""
    source, sink = os.pipe()
    failed: list[BaseException] = []

    def pack() -> None:
        try:
            with (
                os.fdopen(sink, "wb") as file,
                gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1) as packed,
                tarfile.open(fileobj=packed, mode="w|") as tar,
            ):
                tar.add(folder, arcname=folder.name)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=pack, daemon=True)
    with os.fdopen(source, "rb") as file:

        def chunks() -> Iterator[bytes]:
            yield from iter(lambda: file.read(CHUNK_BYTES), b"")
            thread.join()
            if failed:
                raise BackupError(f"{folder} can't be copied: {failed[0]}") from failed[0]

        thread.start()
        yield chunks()


def _tell(path: Path, manifest: Manifest, say: Say) -> None:
    free = shutil.disk_usage(path.parent).free
    say(f"{path}: {path.stat().st_size:,} bytes; {free:,} bytes are left on its disk.")
    if manifest.running:
        say("Kafka's topics and RabbitMQ's messages are not in it: see docs/data.md.")
    say("Passwords and SECRET_KEY are in it: keep it where only you can read it.")
