"""Static files are collected again exactly when what they come from has changed."""

from pathlib import Path

import pytest

from config.services.static_files import StaticFiles


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("config/settings.py", "requirements.txt", "templates/static/app.css"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")
    return tmp_path


@pytest.mark.parametrize(
    "changed",
    [
        "config/settings.py",
        "requirements.txt",
        "templates/static/app.css",
        "templates/static/new.js",
    ],
)
def test_a_change_is_seen(project: Path, changed: str) -> None:
    var_dir = project / "var"
    files = StaticFiles(project, var_dir)
    assert not files.are_current()
    (var_dir / "static").mkdir(parents=True)
    files.mark_current()
    assert files.are_current()
    (var_dir / "static" / "app.css").write_text("what was collected is no source")
    assert files.are_current()
    (project / changed).write_text("22")
    assert not files.are_current()


def test_deleted_files_are_collected_again(project: Path) -> None:
    var_dir = project / "var"
    (var_dir / "static").mkdir(parents=True)
    files = StaticFiles(project, var_dir)
    files.mark_current()
    (var_dir / "static").rmdir()
    assert not files.are_current()
