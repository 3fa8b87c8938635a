"""What the Content-Security-Policy would refuse is not written in the first place."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
SCRIPTS = sorted(
    file for file in (ROOT / "templates/static").rglob("*.js") if "vendor" not in file.parts
)
REFUSED = {
    "inline style": re.compile(r"<[^>]*\sstyle\s*=", re.S),
    "style element": re.compile(r"<style\b"),
    "inline script": re.compile(r"<script(?![^>]*\ssrc=)[^>]*>"),
    "inline handler": re.compile(r"<[^>]*\son[a-z]+\s*=", re.S),
    "hx-on": re.compile(r"\bhx-on\b"),
    "another host": re.compile(r"""(?:src|href|action)\s*=\s*["'](?:https?:)?//"""),
}


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: str(file.relative_to(ROOT)))
def test_templates_hold_nothing_that_the_policy_refuses(file):
    text = re.sub(r"{%.*?%}|{{.*?}}|{#.*?#}", "", file.read_text(), flags=re.S)
    assert [what for what, pattern in REFUSED.items() if pattern.search(text)] == []


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: file.name)
def test_scripts_neither_evaluate_text_nor_write_html(file):
    assert re.findall(r"\beval\(|new Function|innerHTML|document\.write", file.read_text()) == []
