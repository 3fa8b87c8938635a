"""What is wrong with a file is said of the file, and of nothing else."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from config.services.backup_file import BackupError, reading, writing
from config.services.stack import PROJECT
from tests.running import NOT_PASSED_ON

# As root no disk is full: a limit on the size of files fails a write in the same place.
SMALL_FILES = """
import resource, sys
from config.services.__main__ import restore_backup
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
sys.exit(restore_backup(sys.argv[1], True))
"""


def test_an_error_while_it_is_read_is_not_taken_for_one_of_the_file(tmp_path: Path) -> None:
    with writing(tmp_path / "x.tar") as writer:
        writer.finish("2026-01-01T00:00:00+00:00", False, [])
    for error in (OSError(28, "No space left on device"), ValueError("x")):
        with pytest.raises(type(error)) as raised, reading(tmp_path / "x.tar"):
            raise error
        assert raised.value is error


def test_a_full_disk_is_said_and_changes_nothing(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("topics/data-0/log")
        member.size = 1_000_000
        tar.addfile(member, io.BytesIO(bytes(member.size)))
    with writing(tmp_path / "x.tar") as writer:
        writer.add("kafka.tar.gz", "kafka", "4.0.0", [packed.getvalue()])
        writer.finish("2026-01-01T00:00:00+00:00", False, [])
    var_dir = tmp_path / "var"
    done = subprocess.run(
        [sys.executable, "-c", SMALL_FILES, str(tmp_path / "x.tar")],
        cwd=PROJECT,
        env={k: v for k, v in os.environ.items() if k not in NOT_PASSED_ON}
        | {"STOCKROOM_VAR": str(var_dir)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1
    assert f"{var_dir} can't take it: " in done.stderr and "Nothing was changed." in done.stderr
    assert "too large" in done.stderr and "no backup" not in done.stderr
    assert "Traceback" not in done.stderr
    assert not (var_dir / "kafka").exists() and not (var_dir / "restoring").exists()


@pytest.mark.parametrize(
    "manifest",
    [
        "[]",
        "{}",
        '{"format": 1}',
        '{"format": 1, "made_at": "", "running": true, "migrations": 1, "parts": []}',
        '{"format": 1, "made_at": "", "running": true, "migrations": [], "parts": [{"name": "x"}]}',
        '{"format": 1, "made_at": "", "running": true, "migrations": [], "parts": [1]}',
        '{"format": 1, ',
    ],
)
def test_a_manifest_of_another_kind_is_refused_in_words(tmp_path: Path, manifest: str) -> None:
    path = tmp_path / "x.tar"
    with writing(path) as writer:
        writer.add("manifest.json", "", "", [manifest.encode()])
    with pytest.raises(BackupError, match=str(path)), reading(path):
        pass
