"""The version of the code that runs, such as 0.1.0+3f9c21ab: its number and a digest of itself.

The number is that of pyproject.toml. A digest tells two commits apart where no repository is at
hand, as in an image or on a dyno: equal code has equal versions, wherever it runs.
"""

import hashlib
import os
import tomllib
from functools import cache
from pathlib import Path

from django.conf import settings

FOLDERS = ("config", "products", "stocksync", "streaming", "templates", "transactions", "webhooks")
KINDS = (".css", ".html", ".js", ".lua", ".py", ".sql", ".svg")
DIGITS = 8


@cache
def version() -> str:
    """As the code was when this process asked first, at its start if it beats."""
    base: Path = settings.BASE_DIR
    with (base / "pyproject.toml").open("rb") as file:
        number = tomllib.load(file)["project"]["version"]
    try:
        return f"{number}+{digest(base)}"
    except OSError:  # it is being replaced
        return str(number)


def digest(base: Path) -> str:
    """The beginning of a SHA-256 of names and contents of the files of KINDS in FOLDERS of `base`.

    Raises OSError.
    """
    made = hashlib.sha256()
    for folder in FOLDERS:
        for at, inner, names in os.walk(base / folder):
            inner[:] = sorted(each for each in inner if each != "__pycache__")
            for name in sorted(names):
                if not name.endswith(KINDS):
                    continue
                path = os.path.join(at, name)
                content = Path(path).read_bytes()
                made.update(f"{os.path.relpath(path, base)}\0{len(content)}\0".encode())
                made.update(content)
    return made.hexdigest()[:DIGITS]
