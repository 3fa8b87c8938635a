"""Files of `NAME=value` lines: the developer's `.env` and the running stack's `run.env`."""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$")


def read(path: Path) -> dict[str, str]:
    """Variables of the file, none when it does not exist.

    Quotes around a value are dropped, ` # comment` after an unquoted one too. Lines that assign
    nothing are passed over. Raises OSError and UnicodeDecodeError.
    """
    variables: dict[str, str] = {}
    with suppress(FileNotFoundError):
        for line in path.read_text(encoding="utf-8").splitlines():
            match = LINE.match(line)
            if match is None:
                continue
            name, value = match.groups()
            if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
                value = value[1:-1]
            else:
                value = re.sub(r"(^|\s)#.*", "", value)
            variables[name] = value
    return variables


def write(path: Path, variables: Mapping[str, str]) -> None:
    """Replace the file at once, readable by its owner only: passwords are in it."""
    making = path.with_name(f"{path.name}.new")
    making.unlink(missing_ok=True)
    descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(f"{name}='{value}'\n" for name, value in variables.items())
    making.replace(path)
