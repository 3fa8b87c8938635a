"""Programs that come from the system, not from a wheel: found, or installed with apt-get.

Only as root on Debian or Ubuntu anything is installed; elsewhere the error names the command.
"""

import fcntl
import logging
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from config.services.engine import EngineError

logger = logging.getLogger(__name__)

LOCK = Path("/run/stockroom-apt.lock")
POLICY = Path("/usr/sbin/policy-rc.d")
POLICY_MARK = "# made by Stockroom for one apt-get run"
# Servers and browsers live where a plain user's PATH often does not look.
SYSTEM_PATH = "/usr/sbin:/usr/local/sbin:/sbin:/usr/lib/rabbitmq/bin"


@dataclass(frozen=True)
class Tool:
    """A program: what it is called, under which names it is found, its Debian package."""

    label: str
    programs: tuple[str, ...]
    package: str

    def find(self) -> str | None:
        """Path of the program, None where it is missing."""
        path = os.environ.get("PATH", os.defpath) + os.pathsep + SYSTEM_PATH
        for program in self.programs:
            found = shutil.which(program, path=path)
            if found is not None:
                return found
        return None

    def require(self) -> str:
        """Path of the program. Raises EngineError with the command that installs it."""
        found = self.find()
        if found is None:
            raise EngineError(f"{self.label} is missing. Install it with: {command([self])}")
        return found


JAVA = Tool("Java", ("java",), "default-jre-headless")
MAVEN = Tool("Maven", ("mvn",), "maven")
RABBITMQ = Tool("RabbitMQ", ("rabbitmq-server",), "rabbitmq-server")
CHROMIUM = Tool("Chromium", ("chromium", "chromium-browser", "google-chrome"), "chromium")


def command(tools: Sequence[Tool]) -> str:
    """The command by which a user installs these tools on Debian or Ubuntu."""
    packages = " ".join(tool.package for tool in tools)
    return f"sudo apt-get update && sudo apt-get install -y --no-install-recommends {packages}"


def ensure(tools: Sequence[Tool]) -> None:
    """Install those of `tools` that are missing.

    Several processes may do so at once: they take turns. Raises EngineError with what to do where
    it is not allowed or apt-get fails.
    """
    missing = [tool for tool in tools if tool.find() is None]
    if not missing:
        return
    labels = ", ".join(tool.label for tool in missing)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise EngineError(f"Missing: {labels}. Install with: {command(missing)}")
    LOCK.touch()
    with LOCK.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        missing = [tool for tool in tools if tool.find() is None]  # another clone may have done it
        if missing:
            logger.info("installing %s with apt-get, which takes a minute or two", labels)
            with _no_system_services():
                _apt_get("update")
                packages = [tool.package for tool in missing]
                _apt_get("install", "-y", "--no-install-recommends", *packages)
    still = [tool for tool in missing if tool.find() is None]
    if still:
        raise EngineError(f"apt-get installed no {still[0].programs[0]}: {command(still)}")
    logger.info("installed %s", labels)


def _apt_get(*arguments: str) -> None:
    # Its own session: Ctrl-C in the terminal must not cut dpkg in the middle of a package.
    done = subprocess.run(
        ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", *arguments],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    if done.returncode != 0:
        raise EngineError(f"apt-get {' '.join(arguments)} failed:\n{done.stdout[-3000:]}")


@contextmanager
def _no_system_services() -> Iterator[None]:
    """Keep apt from starting a server it installs: RabbitMQ's package would run a system broker.

    A policy that the machine already has is respected; one of ours left by a killed run is not.
    """
    if POLICY.exists() and POLICY_MARK not in POLICY.read_text(errors="replace"):
        yield
        return
    POLICY.write_text(f"#!/bin/sh\n{POLICY_MARK}\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            POLICY.unlink()
