"""Ends what a killed supervisor left behind.

Run as a script by `spawn.py`, never imported. Reads `+PID` and `-PID` lines (session leaders
started and ended) from standard input; when its writer is gone, however it died, every process of
those sessions and every descendant is killed. The kernel's parent-death signal reaches only the
direct children; this reaches the web server's workers, Celery's pool and the Erlang machine behind
its shell script as well.
"""

import os
import signal
import sys
import time
from contextlib import suppress

import psutil

ROUNDS = 50
ROUND_SECONDS = 0.1


def members(leaders: set[int]) -> dict[int, psutil.Process]:
    """Processes, by pid, that belong to a session of `leaders` or descend from one of them."""
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError, PermissionError):
            if os.getsid(process.pid) in leaders:
                found[process.pid] = process
                # PostgreSQL's backends and Erlang's ports have sessions of their own.
                for descendant in process.children(recursive=True):
                    found[descendant.pid] = descendant
    return found


def main() -> None:
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    leaders: set[int] = set()
    for line in sys.stdin:
        pid = int(line[1:])
        if line[0] == "+":
            leaders.add(pid)
        else:
            leaders.discard(pid)
    if not leaders:
        return
    # Descendants stay on the list even when the first blow orphans them.
    targets: dict[int, psutil.Process] = {}
    for _ in range(ROUNDS):
        targets |= members(leaders)
        alive = False
        for process in targets.values():
            with suppress(psutil.Error):
                if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                    alive = True
                    process.kill()
        if not alive:
            return
        time.sleep(ROUND_SECONDS)


main()
