"""One package alone knows kafka-python, so its traps are cured in one place."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
IMPORT = re.compile(r"^\s*(?:from|import) kafka\b", re.M)
APPLICATIONS = ("config", "products", "stocksync", "streaming", "transactions", "webhooks")


def test_nothing_else_imports_kafka_python():
    importing = {
        path.relative_to(ROOT).parent.as_posix()
        for application in APPLICATIONS
        for path in (ROOT / application).rglob("*.py")
        if IMPORT.search(path.read_text())
    }
    assert importing == {"streaming/kafka_log"}
