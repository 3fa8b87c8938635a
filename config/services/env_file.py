"""Files of `NAME=value` lines: the developer's `.env` and the running stack's `run.env`."""

import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values


def read(path: Path) -> dict[str, str]:
    """Variables of the file, none when it does not exist. Raises OSError and UnicodeDecodeError.

    Read as environment.py does (environs, by this function), so that both see the same values.
    Lines that assign nothing are passed over.
    """
    return {name: value for name, value in dotenv_values(path).items() if value is not None}


def write(path: Path, variables: Mapping[str, str]) -> None:
    """Replace the file at once, readable by its owner only: passwords are in it."""
    making = path.with_name(f"{path.name}.new")
    making.unlink(missing_ok=True)
    descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(f"{name}='{value}'\n" for name, value in variables.items())
    making.replace(path)
