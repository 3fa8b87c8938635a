"""`make run` says in plain words what an engine could not read, before any engine starts."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from config.services import data_format
from config.services.engine import Engine, EngineError
from config.services.kafka import KAFKA
from config.services.postgres import tool_version

PROJECT = Path(__file__).resolve().parents[2]
META = "version=1\ncluster.id=abc\nnode.id=1\ndirectory.id=x\n"


def written(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def said(var_dir: Path) -> str:
    try:
        data_format.check(var_dir, {})
    except EngineError as error:
        return str(error)
    return ""


def test_an_empty_folder_and_present_data_are_fine(tmp_path: Path) -> None:
    assert said(tmp_path) == ""
    written(tmp_path / "postgres/PG_VERSION", f"{tool_version().split('.')[0]}\n")
    written(tmp_path / "valkey/appendonlydir/appendonly.aof.1.base.rdb", b"VALKEY080\xfa")
    written(tmp_path / "kafka/topics/meta.properties", META)
    (tmp_path / "rabbitmq/mnesia").mkdir(parents=True)
    assert said(tmp_path) == ""
    assert json.loads((tmp_path / "engines.json").read_text())["kafka"] == KAFKA
    assert said(tmp_path) == ""


def test_what_the_present_valkey_writes_is_what_it_is_taken_for(
    own_valkey: Callable[[], Engine], tmp_path: Path
) -> None:
    """With another wheel VALKEY_RDB is to be looked at again."""
    engine = own_valkey()
    (base,) = (engine.data_dir / "appendonlydir").glob("*.base.rdb")
    assert base.read_bytes()[:9] == f"VALKEY{data_format.VALKEY_RDB:03}".encode()
    assert data_format.of_valkey(engine.data_dir, "") == ""


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        ("postgres/PG_VERSION", "16\n", ["format of version 16", "The data is older"]),
        ("postgres/PG_VERSION", "99\n", ["format of version 99", "The data is newer"]),
        ("postgres/PG_VERSION", "", ["version ?", "The data is damaged"]),
        (
            "valkey/appendonlydir/appendonly.aof.1.base.rdb",
            b"VALKEY099\xfa",
            ["VALKEY099", "up to VALKEY080", "newer"],
        ),
        ("valkey/dump.rdb", b"REDIS0012\xfa", ["REDIS0012", "up to REDIS0011"]),
        ("valkey/dump.rdb", b"\0\0\0", ["no data of Valkey", "damaged"]),
        ("kafka/topics/meta.properties", META.replace("=1\nc", "=2\nc"), ["version 2", "newer"]),
        ("kafka/topics/meta.properties", "version=0\nbroker.id=0\n", ["version 0", "older"]),
        ("kafka/topics/meta.properties", META.replace("id=1", "id=7"), ["node 7"]),
    ],
)
def test_it_says_what_was_found_what_is_needed_and_what_to_do(
    tmp_path: Path, path: str, content: str | bytes, words: list[str]
) -> None:
    written(tmp_path / path, content)
    text = said(tmp_path)
    for word in [*words, "Nothing was changed", str(tmp_path / path.split("/")[0]), "docs/data.md"]:
        assert word in text
    assert not (tmp_path / "engines.json").exists()


def test_engines_that_do_not_tell_are_known_by_the_version_that_ran_last(tmp_path: Path) -> None:
    written(tmp_path / "kafka/topics/meta.properties", META)
    written(tmp_path / "engines.json", '{"kafka": "9.1.0"}')
    assert f"Kafka 9.1.0 has run on the data in {tmp_path / 'kafka'}" in said(tmp_path)
    written(tmp_path / "engines.json", '{"kafka": "4.0.0"}')
    assert said(tmp_path) == ""
    written(tmp_path / "engines.json", "no json")
    assert said(tmp_path) == ""


@pytest.mark.parametrize(
    ("former", "ours", "word"),
    [
        ("3.10.8", "3.10.8", ""),
        ("3.10.8", "3.11.0", ""),
        ("3.10.8", "4.0.5", "too old"),
        ("3.10.8", "3.12.1", "too old"),
        ("4.0.5", "3.10.8", "newer"),
        ("", "4.0.5", ""),
        ("3.10.8", "", ""),
    ],
)
def test_rabbitmq_goes_one_step_at_a_time(
    tmp_path: Path, former: str, ours: str, word: str
) -> None:
    (tmp_path / "mnesia").mkdir()
    text = data_format.of_rabbitmq(tmp_path, former, lambda: ours)
    assert (word in text) if word else not text


def test_all_engines_are_told_of_at_once_and_others_servers_are_not(tmp_path: Path) -> None:
    written(tmp_path / "postgres/PG_VERSION", "16")
    written(tmp_path / "valkey/dump.rdb", "x")
    with pytest.raises(EngineError, match=r"(?s)PostgreSQL.*Valkey"):
        data_format.check(tmp_path, {})
    with pytest.raises(EngineError) as found:
        data_format.check(tmp_path, {"DATABASE_URL": "postgresql://elsewhere/x"})
    assert "PostgreSQL" not in str(found.value)


def test_only_engines_that_are_to_be_started_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "rabbitmq/mnesia").mkdir(parents=True)
    written(tmp_path / "engines.json", '{"rabbitmq": "1.0.0"}')
    for given in ({}, {"STOCKROOM_ENGINES": ""}, {"STOCKROOM_ENGINES": "postgres, rabbitmq"}):
        with pytest.raises(EngineError, match=r"RabbitMQ 1\.0\.0"):
            data_format.check(tmp_path, given)
    data_format.check(tmp_path, {"STOCKROOM_ENGINES": "postgres, valkey"})
    data_format.check(tmp_path, {}, ("postgres",))
    assert data_format.recorded(tmp_path).keys() == {"rabbitmq", "postgres", "valkey"}
    assert data_format.recorded(tmp_path)["rabbitmq"] == "1.0.0"


def test_a_version_stays_known_while_its_program_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(data_format.VERSIONS, "rabbitmq", lambda: "")
    written(tmp_path / "engines.json", f'{{"rabbitmq": "{data_format.rabbitmq_version()}"}}')
    (tmp_path / "rabbitmq/mnesia").mkdir(parents=True)
    assert said(tmp_path) == ""
    assert data_format.recorded(tmp_path)["rabbitmq"] == data_format.rabbitmq_version()
    # But not that of data which are gone: the next are of whichever is installed then.
    (tmp_path / "rabbitmq/mnesia").rmdir()
    (tmp_path / "rabbitmq").rmdir()
    assert said(tmp_path) == ""
    assert data_format.recorded(tmp_path)["rabbitmq"] == ""


def test_make_run_ends_with_it_and_without_a_stack_trace(engine_folder: Path) -> None:
    written(engine_folder / "postgres/PG_VERSION", "12")
    names = ("DATABASE_URL", "REDIS_URL", "PRICES_REDIS_URL", "KEYDB_URL")
    done = subprocess.run(
        [sys.executable, "-m", "config.services", "run"],
        cwd=PROJECT,
        env={k: v for k, v in os.environ.items() if k not in names}
        | {"STOCKROOM_VAR": str(engine_folder)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("PostgreSQL's data in ") and "Traceback" not in done.stderr
    assert (engine_folder / "postgres/PG_VERSION").read_text() == "12"
