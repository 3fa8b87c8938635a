"""Runs `python -m stocksync` as a process of its own, for the tests."""

import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
SECONDS = 120  # then a process hangs


def stocksync(*arguments: Any, given: bytes = b"", **options: Any) -> subprocess.CompletedProcess:
    """Run it to its end with `given` as its standard input."""
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    return subprocess.run(line(*arguments), input=given, cwd=ROOT, timeout=SECONDS, **options)


def started(*arguments: Any, **options: Any) -> subprocess.Popen:
    """Start it with pipes for its standard streams."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        line(*arguments), cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, **options
    )


def line(*arguments: Any) -> list[str]:
    return [sys.executable, "-m", "stocksync", *map(str, arguments)]
