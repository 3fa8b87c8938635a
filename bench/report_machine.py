"""What figures were measured on: processors, memory, versions, load, commit. For bench.__main__."""

import os
import platform
import re
import subprocess
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from config.services import kafka, postgres, valkey
from config.services.data_format import rabbitmq_version
from config.services.stack import PROJECT

GIB = 1024**3
REPORT = (":(exclude)docs/benchmarks.md", ":(exclude)docs/benchmarks")
NUMBER = re.compile(r"\d+(?:\.\d+)+")


def facts() -> dict[str, str]:
    """What is known of this machine, by name; nothing that says whose it is."""
    memory = psutil.virtual_memory().total / GIB
    found = {
        "processors": f"{os.cpu_count()} × {_processor() or platform.machine()}",
        "memory": f"{memory:.1f} GiB",
        "kernel": f"{platform.system()} {platform.release().partition('-')[0]}",
        "Python": platform.python_version(),
        "PostgreSQL": _asked(lambda: postgres.binary("postgres")),
        "Valkey": _asked(valkey.binary),
        "RabbitMQ": rabbitmq_version(),
        "Kafka": kafka.KAFKA,
        "kafka-python": _installed("kafka-python"),
        "quixstreams": _installed("quixstreams"),
    }
    return {name: value for name, value in found.items() if value}


def load() -> str:
    """Of the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


def commit() -> str:
    """Short, "+" behind it where files differ from it, but for the report; "" without git."""
    head = _git("rev-parse", "--short", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", *REPORT)
    return f"{head}+" if head and changed else head


def _git(*words: str) -> str:
    try:
        ran = subprocess.run(
            ["git", *words], cwd=PROJECT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return ran.stdout.strip()


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""
    named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return named[1] if named else ""


def _asked(program: Callable[[], Path]) -> str:
    """The version that the program says; "" where it is missing."""
    try:
        words = [str(program()), "--version"]
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    except (OSError, RuntimeError, subprocess.CalledProcessError):
        return ""
    number = NUMBER.search(said)
    return number[0] if number else ""


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
