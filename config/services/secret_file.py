"""Secrets that are made once per state folder: engine passwords and SECRET_KEY."""

import fcntl
import os
import secrets
from pathlib import Path

LENGTH_BYTES = 48


def secret(var_dir: Path, name: str) -> str:
    """Return the secret `name` of `<var_dir>/secrets.env`, made at its first use.

    The value has URL-safe characters only. The file is `NAME=value` lines with mode 600; a lock on
    it keeps two processes from making one name twice. Raises OSError when it can't be written.
    """
    descriptor = os.open(var_dir / "secrets.env", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "r+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        for line in file:
            key, _, value = line.strip().partition("=")
            if key == name and value:
                return value
        value = secrets.token_urlsafe(LENGTH_BYTES)
        file.write(f"{name}={value}\n")
        file.flush()
        os.fsync(file.fileno())
        return value
