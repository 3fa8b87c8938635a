"""The Makefile's look at Python, before it makes anything with it."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Says another version than it has, and makes virtual environments that are one empty file.
PYTHON = """#!/bin/sh
if [ "$1" = -c ]; then
    exec {python} -c 'import sys; sys.version_info = {version}; exec(sys.argv[2])' "$@"
fi
mkdir -p .venv/bin && touch .venv/bin/pip
"""


def make(folder: Path, version: tuple[int, ...]) -> subprocess.CompletedProcess[str]:
    shutil.copy(ROOT / "Makefile", folder)
    python = folder / "python"
    python.write_text(PYTHON.format(python=sys.executable, version=version))
    python.chmod(0o755)
    return subprocess.run(
        ["make", ".venv/bin/pip", f"PYTHON={python}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("version", [(3, 9, 18), (3, 10, 14)])
def test_a_python_that_is_too_old_is_refused_with_the_version_that_is_needed(tmp_path, version):
    done = make(tmp_path, version)
    assert done.returncode != 0
    assert f"needs Python 3.11 or newer, and {tmp_path}/python is not" in done.stderr
    assert "PYTHON=" in done.stderr and not (tmp_path / ".venv").exists()


@pytest.mark.parametrize("version", [(3, 11, 4), (3, 12, 0)])
def test_one_that_is_new_enough_is_taken(tmp_path, version):
    done = make(tmp_path, version)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / ".venv/bin/pip").exists()


def test_all_places_name_the_same_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (needed,) = re.findall(r"^>=([0-9.]+)$", project["requires-python"])
    assert f"sys.version_info < ({needed.replace('.', ', ')})" in (ROOT / "Makefile").read_text()
    for name in ("Makefile", "README.md", "docs/deploy.md"):
        assert f"Python {needed} or newer" in (ROOT / name).read_text()
