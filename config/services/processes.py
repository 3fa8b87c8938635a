"""The application processes: the one table of their commands. `Procfile` holds equivalents."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROLES = (
    "web",
    "worker",
    "deliveries",
    "sales",
    "prices",
    "performance",
    "ledger",
    "orders",
    "beat",
)


@dataclass(frozen=True)
class Role:
    """How a process of this role is started and how long it may take to end."""

    command: list[str]
    stop_seconds: float
    listens: bool = False


def roles(var_dir: Path, environment: Mapping[str, str], web_fd: int) -> dict[str, Role]:
    """The roles by name. `web_fd` is the listening socket that web inherits.

    `{index}` in a command is replaced by the process's number within its role.
    """
    python = [sys.executable, "-m"]
    # Celery warns of root for the sake of pickled messages; ours are JSON only.
    quiet = ["-W", "ignore:You're running the worker with superuser privileges"]
    celery = [sys.executable, *quiet, "-m", "celery", "--quiet", "-A", "config.celery"]
    level = environment.get("LOG_LEVEL") or "INFO"
    workers = environment.get("WEB_CONCURRENCY") or "2"
    calculations = environment.get("PRICES_PERFORMANCE_PROCESSES") or "8"
    # Gunicorn's heartbeat files: on a disk, a busy machine could stall the web workers.
    heartbeats = "/dev/shm" if Path("/dev/shm").is_dir() else str(var_dir)
    return {
        "web": Role(
            [
                *(*python, "gunicorn", "config.asgi:application"),
                *("-k", "config.web_worker.WebWorker", "--workers", workers),
                *("--bind", f"fd://{web_fd}", "--worker-tmp-dir", heartbeats),
                *("--graceful-timeout", "10", "--timeout", "60"),
                "--no-control-socket",  # by default one in HOME, shared by all clones
            ],
            stop_seconds=20.0,
            listens=True,
        ),
        "worker": Role(
            [
                *(*celery, "worker", "-n", "worker{index}@%h", "-Q", "default,imports"),
                *("--pool", "prefork", "-c", "2", "-l", level),
                *("--without-gossip", "--without-mingle"),
            ],
            stop_seconds=30.0,
        ),
        **{
            name: Role(
                [
                    *(*celery, "worker", "-n", name + "{index}@%h", "--pool", "solo"),
                    *("--consumer", name, "-l", level),
                ],
                # Above CONSUMER_DRAIN_SECONDS and what the worker needs to leave.
                stop_seconds=35.0,
            )
            for name in ("deliveries", "sales", "prices", "ledger", "orders")
        },
        "performance": Role(
            [
                *(*celery, "worker", "-n", "performance{index}@%h", "-Q", "performance"),
                # A calculation that is handed out never waits behind another.
                *("--pool", "prefork", "-c", calculations, "-O", "fair", "-l", level),
                *("--without-gossip", "--without-mingle"),
            ],
            stop_seconds=30.0,
        ),
        "beat": Role(
            [
                *(*celery, "beat", "-l", level, "--pidfile="),
                *("-s", str(var_dir / "celerybeat-schedule")),
            ],
            stop_seconds=10.0,
        ),
    }
