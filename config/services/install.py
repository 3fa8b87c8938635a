"""Programs that come from the system, not from a wheel: found, or installed with apt-get.

Only as root on Debian or Ubuntu anything is installed; elsewhere the error names the command.
"""

import fcntl
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

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
        _remove_left_policy()
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
                _apt_get("update", lock=lock)
                packages = [tool.package for tool in missing]
                _apt_get("install", "-y", "--no-install-recommends", *packages, lock=lock)
    still = [tool for tool in missing if tool.find() is None]
    if still:
        raise EngineError(f"apt-get installed no {still[0].programs[0]}: {command(still)}")
    logger.info("installed %s", labels)


def _apt_get(*arguments: str, lock: IO[str]) -> None:
    """Run apt-get to its end, also over a KeyboardInterrupt, which is raised afterwards.

    It holds `lock` as long as it runs, even when this process is killed meanwhile.
    """
    interrupt: KeyboardInterrupt | None = None
    with tempfile.TemporaryFile() as output:
        # Its own session: Ctrl-C in the terminal must not cut dpkg in the middle of a package.
        child = subprocess.Popen(
            ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", *arguments],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[lock.fileno()],
        )
        while child.returncode is None:
            try:
                child.wait()
            except KeyboardInterrupt as error:
                logger.warning("apt-get is at work: this ends once that has")
                interrupt = error
        if interrupt is not None:
            raise interrupt
        output.seek(0)
        if child.returncode != 0:
            text = output.read().decode(errors="replace")[-3000:]
            raise EngineError(f"apt-get {' '.join(arguments)} failed:\n{text}")


def _is_ours() -> bool:
    return POLICY.exists() and POLICY_MARK in POLICY.read_text(errors="replace")


def _remove_left_policy() -> None:
    """Remove the policy of a run that was killed: no package could start its server any more."""
    if os.geteuid() != 0 or not _is_ours():
        return
    LOCK.touch()
    with LOCK.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # an apt-get is at work
            return
        POLICY.unlink(missing_ok=True)


@contextmanager
def _no_system_services() -> Iterator[None]:
    """Keep apt from starting a server it installs: RabbitMQ's package would run a system broker.

    A policy that the machine already has is respected; one of ours left by a killed run is not.
    """
    if POLICY.exists() and not _is_ours():
        yield
        return
    POLICY.write_text(f"#!/bin/sh\n{POLICY_MARK}\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            POLICY.unlink()
