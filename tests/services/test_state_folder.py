"""All that start engines finish a restore that was cut, and look at the data's versions first."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.services import backup, data_format, restore, state_folder
from config.services.backup_file import reading
from config.services.engine import EngineError
from config.services.kafka import KAFKA
from config.services.stack import PROJECT
from tests.running import NOT_PASSED_ON

ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in NOT_PASSED_ON}
META = "version=1\nnode.id=1\n"


def written(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def cut(var_dir: Path, **made: str) -> None:
    """A restore that was killed before anything it made (folder_file) was in its place."""
    for name, text in made.items():
        written(var_dir / "restoring" / name.replace("__", "/"), text)
    names = sorted({name.split("__")[0] for name in made})
    written(var_dir / "restore.json", json.dumps({"names": names, "aside": "replaced-then"}))


def yes(there: str) -> bool:
    return True


def test_a_swap_that_was_cut_is_finished(tmp_path: Path) -> None:
    """Killed after the present data went aside and before the new came in its place."""
    cut(tmp_path, postgres__data="new", valkey__data="new")
    written(tmp_path / "valkey/data", "old")
    state_folder.finish_cut(tmp_path, print)
    assert (tmp_path / "postgres/data").read_text() == "new"
    assert (tmp_path / "valkey/data").read_text() == "new"
    assert (tmp_path / "replaced-then/valkey/data").read_text() == "old"
    assert not (tmp_path / "restoring").exists() and not (tmp_path / "restore.json").exists()


def test_a_backup_is_of_what_the_cut_restore_made(tmp_path: Path) -> None:
    cut(tmp_path, kafka__topics="")
    (tmp_path / "restoring/kafka/topics").unlink()
    written(tmp_path / "restoring/kafka/topics/meta.properties", META)
    path = backup.backup(tmp_path, tmp_path / "to", ENVIRONMENT, print)
    with reading(path) as found:
        assert [part.engine for part in found.manifest.parts if part.engine] == ["kafka"]
    assert not (tmp_path / "restore.json").exists()


def test_a_backup_starts_no_engine_on_data_that_it_can_not_read(tmp_path: Path) -> None:
    written(tmp_path / "postgres/PG_VERSION", "12")
    with pytest.raises(EngineError, match="format of version 12"):
        backup.backup(tmp_path, tmp_path / "to", ENVIRONMENT, print)
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize("command", ["run", "remove"])
def test_a_demo_does_both_before_it_starts_an_engine(tmp_path: Path, command: str) -> None:
    cut(tmp_path, postgres__PG_VERSION="12")
    done = subprocess.run(
        [sys.executable, "-m", "config.demo", command],
        cwd=PROJECT,
        env={**ENVIRONMENT, "STOCKROOM_VAR": str(tmp_path)},
        input="yes\n",
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1
    assert "finishing the restore that was cut off" in done.stdout
    assert "format of version 12" in done.stderr and "Traceback" not in done.stderr
    assert [each.name for each in (tmp_path / "postgres").iterdir()] == ["PG_VERSION"]


def test_the_versions_of_brokers_come_with_their_data(tmp_path: Path) -> None:
    """Those that ran on them last, not those that are here: their files don't tell."""
    old, new = tmp_path / "old", tmp_path / "new"
    written(old / "kafka/topics/meta.properties", META)
    written(old / "rabbitmq/mnesia/x", "x")
    written(old / "engines.json", '{"kafka": "4.0.0", "rabbitmq": "2.0.0"}')
    path = backup.backup(old, tmp_path, ENVIRONMENT, print)
    written(new / "engines.json", f'{{"kafka": "{KAFKA}", "valkey": "VALKEY080"}}')
    restore.restore(new, path, ENVIRONMENT, yes, print)
    assert data_format.recorded(new) == {
        "kafka": "4.0.0",
        "rabbitmq": "2.0.0",
        "valkey": "VALKEY080",
    }
    (aside,) = new.glob("replaced-*")
    assert data_format.recorded(aside)["kafka"] == KAFKA
    # So that the next run can say what to do, where RabbitMQ itself could not.
    with pytest.raises(EngineError, match=r"RabbitMQ 2\.0\.0 has run on the data"):
        data_format.check(new, ENVIRONMENT)
    # A backup in which nothing had been run since engines.json was lost names those that are here.
    (old / "engines.json").unlink()
    with reading(backup.backup(old, tmp_path / "to", ENVIRONMENT, print)) as found:
        versions = {part.engine: part.version for part in found.manifest.parts if part.engine}
    assert versions == {"kafka": KAFKA, "rabbitmq": data_format.rabbitmq_version()}
