"""The table of problems in docs/operations.md has those of the code, and no others."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SEVERITIES = ("critical", "warning")


def made() -> Iterator[tuple[str, str]]:
    """Key and a severity of each Problem that the code makes; what varies in a key is `*`."""
    for file in (ROOT / "config" / "operations").rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "Problem":
                key, severity = call.args[:2]
                constants = [
                    each.value
                    for each in ast.walk(severity)
                    if isinstance(each, ast.Constant) and each.value in SEVERITIES
                ]
                assert constants, ast.unparse(call)
                for constant in constants:
                    yield _pattern(key), str(constant)


def _pattern(key: ast.expr) -> str:
    parts = key.values if isinstance(key, ast.JoinedStr) else [key]
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in parts)


def documented() -> Iterator[tuple[str, str]]:
    """The same of the table, whose words in capitals are what varies."""
    text = (ROOT / "docs" / "operations.md").read_text()
    for key, severity in re.findall(r"^\| `([A-Za-z:-]+)` \| (.*?) \|", text, re.M):
        for word in re.findall("|".join(SEVERITIES), severity):
            yield re.sub(r"[A-Z]+", "*", key), word


def test_each_problem_is_in_the_table_with_its_severity_and_no_other_is():
    rows = sorted(documented())
    assert len(rows) == len(set(rows)) > 30
    assert rows == sorted(set(made()))
