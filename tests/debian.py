"""Programs of Debian that only a test needs: unpacked into a folder, not installed."""

import atexit
import fcntl
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from config.services.install import LOCK

SECONDS = 300


def program(name: str, *packages: str) -> Path:
    """The machine's `name`, else that of these packages; the test skips where neither can be had.

    The first package has it, the others have libraries that it needs.
    """
    found = shutil.which(name)
    return Path(found) if found else _unpacked(name, packages)


@functools.cache
def _unpacked(name: str, packages: tuple[str, ...]) -> Path:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        pytest.skip(f"{name} is not here, nor is apt-get")
    folder = Path(tempfile.mkdtemp(prefix="stockroom-debian-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if not _download(packages, folder):
        pytest.skip(f"{name} is not here, and {' '.join(packages)} can't be downloaded")
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, folder / "root"], check=True, timeout=SECONDS)
    (real,) = (folder / "root").glob(f"usr/[bs]*in/{name}")
    libraries = {str(file.parent) for file in (folder / "root").rglob("*.so*")}
    begun = folder / "bin" / name
    begun.parent.mkdir()
    begun.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={":".join(libraries)} exec {real} "$@"\n')
    begun.chmod(0o755)
    return begun


def _download(packages: tuple[str, ...], folder: Path) -> bool:
    def fetched() -> bool:
        command = ["apt-get", "-qq", "download", *packages]
        return _is_done(command, folder) and len(list(folder.glob("*.deb"))) == len(packages)

    if fetched():
        return True
    if os.geteuid() != 0:
        return False
    with LOCK.open("a") as lock:  # of those who install
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _is_done(["apt-get", "-qq", "update"], folder) and fetched()


def _is_done(command: list[str], folder: Path) -> bool:
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=SECONDS, check=False)
    return done.returncode == 0
