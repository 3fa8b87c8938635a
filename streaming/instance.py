"""Which of several instances of a consumer this process is: its slot.

It names the instance on the page. For sales it is part of the transactional id too: the broker lets
only the newest holder of a transactional id write, so two running instances must not share a slot,
and one that comes back should have its old one: then what it left open is ended at once and not
after the transaction's time-out.
"""

import fcntl
import os
import re
import socket
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

MOST_SLOTS = 1000


@contextmanager
def slot(name: str, environment: Mapping[str, str], folder: Path) -> Iterator[str]:
    """This process's slot, held until the end of the block.

    `name` where one is given, else Heroku's $DYNO, else host name and the number
    of the first file in `folder` that nobody has locked, else, where no file can be locked, a
    random one.
    """
    given = name or environment.get("DYNO", "")
    if given:
        yield given
        return
    host = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:60] or "host"
    locked = _lock(folder)
    if locked is None:
        yield f"{host}.{uuid.uuid4().hex[:12]}"
        return
    number, descriptor = locked
    try:
        yield f"{host}.{number}"
    finally:
        os.close(descriptor)


def _lock(folder: Path) -> tuple[int, int] | None:
    # The files stay: removing one that another is about to lock would give its number twice.
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(1, MOST_SLOTS + 1):
            descriptor = os.open(folder / f"{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                continue
            except OSError:
                os.close(descriptor)
                return None
            return number, descriptor
    except OSError:
        return None
    return None
