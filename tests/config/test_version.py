"""Versions: the same for the same code, another one for each change of it."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from config import version


@pytest.fixture
def code(tmp_path: Path) -> Path:
    (tmp_path / "config" / "pages").mkdir(parents=True)
    (tmp_path / "config" / "pages" / "one.py").write_text("1")
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "page.html").write_text("2")
    return tmp_path


def test_it_is_the_number_and_a_digest_of_the_code():
    assert re.fullmatch(r"\d+\.\d+\.\d+\+[0-9a-f]{8}", version.version())
    assert version.version().endswith(version.digest(settings.BASE_DIR))


def test_it_is_the_same_wherever_the_code_lies(code, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    for path in sorted(code.rglob("*"), reverse=True):
        if path.is_file():
            copy = other / path.relative_to(code)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    assert version.digest(code) == version.digest(other)


@pytest.mark.parametrize(
    "change",
    [
        lambda code: (code / "config" / "pages" / "one.py").write_text("3"),
        lambda code: (code / "templates" / "page.html").rename(code / "templates" / "other.html"),
        lambda code: (code / "config" / "pages" / "one.py").unlink(),
        lambda code: (code / "config" / "empty.py").touch(),
    ],
    ids=["changed", "renamed", "gone", "added"],
)
def test_each_change_of_the_code_makes_another(code, change):
    before = version.digest(code)
    change(code)
    assert version.digest(code) != before


def test_what_python_or_the_run_makes_beside_it_does_not_count(code):
    before = version.digest(code)
    (code / "config" / "pages" / "__pycache__").mkdir()
    (code / "config" / "pages" / "__pycache__" / "one.py").write_bytes(b"made")
    (code / "config" / "pages" / "one.py.orig").touch()
    (code / "var").mkdir()
    (code / "var" / "run.env").write_text("made")
    assert version.digest(code) == before
