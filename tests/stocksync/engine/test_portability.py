"""The engine and its command line run on Python 3.6 and need the standard library only."""

import ast
import subprocess
import sys

import pytest

from tests.stocksync.engine.command import ROOT

FILES = sorted(
    [
        ROOT / "stocksync" / "__init__.py",
        ROOT / "stocksync" / "__main__.py",
        *(ROOT / "stocksync" / "engine").rglob("*.py"),
    ]
)
files = pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])


def vermin(*paths):
    """Tells by its exit code and in words whether 3.6 and all newer Pythons run the files."""
    options = ["--no-config-file", "--eval-annotations", "--target=3.6-", "--no-tips"]
    options.append("--violations")
    return subprocess.run(
        [sys.executable, "-c", "from vermin import main; main()", *options, *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_python_36_suffices():
    run = vermin(*FILES)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_tool_tells_of_newer_python(tmp_path):
    newer = tmp_path / "newer.py"
    newer.write_text("def half(x: int, /) -> float:\n    return (y := x) / 2\n")
    run = vermin(newer)
    assert run.returncode == 1
    assert "3.8" in run.stdout


@files
def test_only_the_standard_library_is_imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 1 and "engine" in path.parts, "from its own folder only"
            continue
        else:
            continue
        for name in names:
            top = name.split(".")[0]
            assert top in sys.stdlib_module_names or name.startswith("stocksync.engine"), name


@files
def test_nothing_is_imported_by_name_at_run_time(path):
    text = path.read_text()
    assert "__import__" not in text
    assert "import_module" not in text
