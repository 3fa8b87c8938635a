"""`make restore FILE=…`: makes the engines' data anew from a backup, and puts it in place.

All is made beside the present data, in `<var>/restoring`: whatever fails there changes nothing.
What was there before is kept in `<var>/replaced-…`.
"""

import shutil
import subprocess
import tarfile
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import redis

from config.services import data_format
from config.services.backup import (
    COLD,
    FILES,
    POSTGRES_PART,
    VALKEY_PART,
    client_environment,
    secrets_of,
)
from config.services.backup_file import BackupError, Manifest, Reader, reading
from config.services.data_format import STAMP
from config.services.engine import EngineError
from config.services.engines import ENGINES
from config.services.postgres import DATABASE, ROLE, Postgres, binary, tool_version
from config.services.spawn import kill_tree, spawn
from config.services.stack import PROJECT, Stack
from config.services.stack_error import CommandFailed
from config.services.state_folder import MAKING, SWAP, finish_cut, lock_of, swap
from config.services.valkey import Valkey

BROKER_SECRETS = ("RABBITMQ_PASSWORD", "ERLANG_COOKIE")
LOAD_SECONDS = 3600.0
NOT_EQUAL = (1, 2)  # exit codes of reconcile_orders: drift, not all compared
POLL_SECONDS = 0.05
Say = Callable[[str], object]


def restore(
    var_dir: Path,
    file: Path,
    environment: Mapping[str, str],
    agree: Callable[[str], bool],
    say: Say,
) -> None:
    """Restore the backup `file` into `var_dir`.

    `agree` is asked, with what is replaced, where there is data already. Raises BackupError,
    EngineError and StackError; up to the last step nothing has changed then.
    """
    if not hasattr(tarfile, "data_filter"):
        raise BackupError(
            "A restore needs Python 3.11.4 or newer. Delete .venv and set PYTHON=/path/to/python:"
            " make makes it anew."
        )
    lock = lock_of(var_dir)
    if lock is None:
        raise BackupError("Stockroom is running: stop it first (Ctrl-C).")
    with lock:
        finish_cut(var_dir, say)
        with reading(file) as backup:
            names = sorted({part.engine for part in backup.manifest.parts if part.engine})
            check_versions(backup.manifest, environment)
            backup.check(say)
            there = [name for name in names if (var_dir / name).exists()]
            if there and not agree(f"{var_dir} has data of {', '.join(there)}."):
                raise BackupError("Nothing restored.")
            making = var_dir / MAKING
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir(mode=0o700)
            try:
                _make(making, backup, var_dir, environment, say)
                files = [name for name in (*FILES, STAMP) if (making / name).exists()]
                swap(var_dir, [*names, *files], say)
            except OSError as error:  # a full disk, most of all
                begun = (var_dir / SWAP).exists()
                what = "The next make run or restore goes on" if begun else "Nothing was changed"
                raise BackupError(f"{var_dir} can't take it: {error}. {what}.") from error
            finally:
                if not (var_dir / SWAP).exists():
                    shutil.rmtree(making, ignore_errors=True)
        _advise(var_dir, backup.manifest, say)


def check_versions(manifest: Manifest, environment: Mapping[str, str]) -> None:
    """Raise BackupError where this Stockroom can't take what is in the backup."""
    dump = manifest.part(POSTGRES_PART)
    ours = tool_version()
    if dump is not None and _major(dump.version) > _major(ours):
        raise BackupError(
            f"The backup is of PostgreSQL {dump.version}, this Stockroom brings {ours}: restore it"
            " with the Stockroom that made it, or a newer one."
        )
    _check_brokers(manifest)
    unknown = [name for name in manifest.migrations if not _has_migration(name)]
    if unknown:
        raise BackupError(
            f"The backup was made by a newer Stockroom (its tables are at {unknown[-1]}): restore"
            " it with that one, or a newer one."
        )
    for engine in filter(None, (part.engine for part in manifest.parts)):
        if engine not in ENGINES:
            raise BackupError(f"The backup was made by a newer Stockroom: it holds {engine!r}.")
        if data_format.is_given(engine, environment):
            name = ENGINES[engine].provides[0]
            raise BackupError(
                f"The backup holds {engine}, but {name} names a server of yours: take"
                " it out of .env to restore here, or see docs/data.md for that server."
            )


def _check_brokers(manifest: Manifest) -> None:
    """Too old ones are restored: `make run` then says what to do."""
    for engine, (name, _) in COLD.items():
        part = manifest.part(name)
        ours = data_format.VERSIONS[engine]() if part is not None else ""
        if part is not None and ours and data_format.is_newer(part.version, ours):
            raise BackupError(
                f"The backup is of {data_format.NAMES[engine]} {part.version}, and {ours} is here,"
                " which can't read it: restore it where that version or a newer one is."
            )


def _major(version: str) -> int:
    return int(version.split(".")[0]) if version.split(".")[0].isdigit() else 0


def _has_migration(name: str) -> bool:
    """Whether we have it; those of packages are theirs to keep."""
    app, _, migration = name.partition(".")
    places = (PROJECT / app, PROJECT / "config" / app)
    folders = [place / "migrations" for place in places if (place / "migrations").is_dir()]
    return not folders or any((folder / f"{migration}.py").exists() for folder in folders)


def _make(
    making: Path, backup: Reader, var_dir: Path, environment: Mapping[str, str], say: Say
) -> None:
    """All engines' data in `making`, brought up to date and compared."""
    manifest = backup.manifest
    held = {part.name for part in manifest.parts}
    _write_files(making, backup, var_dir)
    for engine, (name, data) in COLD.items():
        if name in held:
            say(f"{engine}: its folder")
            _unpack(backup, name, making / engine)
            if not (making / engine / data).is_dir():
                raise BackupError(f"{name} in it holds no {data}.")
    if VALKEY_PART in held:
        say("Valkey: loading the snapshot")
        _load_valkey(making, backup)
    engines = [name for name in ("postgres", "valkey") if manifest_has(manifest, name)]
    with Stack(making, environment, roles=[], engines=engines, port=0) as stack:
        stack.start_engines()
        if POSTGRES_PART in held:
            say("PostgreSQL: loading the dump")
            _load_postgres(making, stack, backup)
            say("PostgreSQL: bringing its tables up to date")
            stack.manage("migrate", "--noinput", "-v", "0")
        if {POSTGRES_PART, VALKEY_PART} <= held:
            _reconcile(stack, environment, say)
    _write_versions(making, var_dir, manifest)


def _unpack(backup: Reader, name: str, folder: Path) -> None:
    try:
        with backup.open(name) as packed, tarfile.open(fileobj=packed, mode="r|gz") as tar:
            tar.extractall(folder, filter="data")
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise BackupError(f"{name} in it can't be unpacked: {error}") from error


def _reconcile(stack: Stack, environment: Mapping[str, str], say: Say) -> None:
    """Take the cost of orders that Valkey's older part lacks, from our own Valkey alone."""
    if environment.get("PRICES_REDIS_URL"):
        # Its credit may be that of orders that go on elsewhere, if this is a restore on trial.
        say(
            "credit and orders are not compared: PRICES_REDIS_URL names a server of yours. Once it"
            " is as it should be: manage.py reconcile_orders --deduct"
        )
        return
    say("comparing credit and orders (reconcile_orders --deduct)")
    try:
        said = stack.manage("reconcile_orders", "--deduct")
    except CommandFailed as error:
        if error.code not in NOT_EQUAL:
            raise
        # What is wrong was wrong before, and is the page's to show: no reason to keep all else
        # away.
        said = str(error)
    for line in filter(None, said.strip().splitlines()):
        say(f"  {line}")


def _write_versions(making: Path, var_dir: Path, manifest: Manifest) -> None:
    """Which versions have run on what will be in `var_dir`: brokers' files don't tell theirs."""
    versions = data_format.recorded(var_dir)
    for part in manifest.parts:
        if part.engine:
            cold = part.engine in COLD
            versions[part.engine] = part.version if cold else data_format.VERSIONS[part.engine]()
    data_format.write(making, versions)


def manifest_has(manifest: Manifest, engine: str) -> bool:
    """Whether a part of the backup is of this engine."""
    return any(part.engine == engine for part in manifest.parts)


def _write_files(making: Path, backup: Reader, var_dir: Path) -> None:
    held = {part.name for part in backup.manifest.parts}
    for name in FILES:
        if name in held:
            path = making / name
            path.touch(mode=0o600)
            path.write_bytes(b"".join(backup.chunks(name)))
    secrets = secrets_of(making)
    present = secrets_of(var_dir)
    if not manifest_has(backup.manifest, "rabbitmq"):
        # The present broker stays, and knows only these.
        secrets |= {n: present[n] for n in BROKER_SECRETS if n in present}
    lines = "".join(f"{name}={value}\n" for name, value in {**present, **secrets}.items())
    (making / "secrets.env").touch(mode=0o600)
    (making / "secrets.env").write_text(lines)


def _load_valkey(making: Path, backup: Reader) -> None:
    """Load the snapshot, and have the server write its append-only file from it."""
    folder = making / "valkey"
    folder.mkdir()
    with (folder / "dump.rdb").open("wb") as file:
        file.writelines(backup.chunks(VALKEY_PART))
    # With an append-only file it would not look at the snapshot.
    engine = Valkey(making, settings={"appendonly": "no"})
    try:
        engine.start()
        with redis.Redis.from_url(engine.variables()["REDIS_URL"]) as client:
            client.config_set("appendonly", "yes")
            deadline = time.monotonic() + LOAD_SECONDS
            while True:
                now = client.info("persistence")
                waiting = now["aof_rewrite_in_progress"] or now["aof_rewrite_scheduled"]
                if not waiting and (folder / "appendonlydir").is_dir():
                    break
                if time.monotonic() > deadline:
                    raise BackupError("Valkey takes too long to write its data.")
                time.sleep(POLL_SECONDS)
            if now["aof_last_bgrewrite_status"] != "ok":
                raise BackupError("Valkey can't write its data: is the disk full?")
    except redis.RedisError as error:
        raise BackupError(f"Valkey can't load the snapshot: {error}") from error
    except EngineError as error:
        if "RDB format version" in str(error):
            raise BackupError(
                "The snapshot is of a newer Valkey: restore it with the Stockroom that made it."
            ) from error
        raise
    finally:
        engine.close()
    (folder / "dump.rdb").unlink(missing_ok=True)


def _load_postgres(making: Path, stack: Stack, backup: Reader) -> None:
    engine = stack.engines["postgres"]
    assert isinstance(engine, Postgres)
    command = [
        *(str(binary("pg_restore")), "--host=127.0.0.1", f"--port={engine.port}"),
        *("--username=postgres", f"--role={ROLE}", f"--dbname={DATABASE}"),
        *("--no-owner", "--no-privileges", "--exit-on-error", "--no-password"),
    ]
    with tempfile.TemporaryFile() as errors:
        child = spawn(
            command,
            environment=client_environment(making),
            directory=making,
            output=errors,
            input=subprocess.PIPE,
        )
        assert child.stdin is not None
        try:
            with suppress(BrokenPipeError):  # it has ended, and says why
                for chunk in backup.chunks(POSTGRES_PART):
                    child.stdin.write(chunk)
                child.stdin.close()
            code = child.wait()
        finally:
            kill_tree(child)
            with suppress(OSError):
                child.stdin.close()
        errors.seek(0)
        if code != 0:
            text = errors.read().decode(errors="replace").strip()
            raise BackupError(f"pg_restore failed: {text[-2000:]}")


def _advise(var_dir: Path, manifest: Manifest, say: Say) -> None:
    say(f"Restored as of {manifest.made_at}. Start it with: make run")
    if manifest_has(manifest, "kafka"):
        return
    if (var_dir / "kafka").is_dir():
        say("Kafka's topics stay: prices are read again from where they were then.")
    else:
        say(
            "Kafka begins anew. Where the page Prices then says that its topic was made again:"
            " python manage.py seek_prices --to beginning"
        )
