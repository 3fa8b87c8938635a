"""The state folder before engines start on it: its lock, a restore that was cut, its formats.

Used by all that start engines on it: `make run`, `demo`, `demo-remove`, `backup`, `restore`.
"""

import fcntl
import json
import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from config.services import data_format
from config.services.stack_error import StackError

MAKING, SWAP = "restoring", "restore.json"
Say = Callable[[str], object]


def writable(folder: Path) -> Path:
    """`folder` as an absolute path, made when missing. Raises StackError when nothing fits in."""
    try:
        folder = folder.resolve()
        (folder / "log").mkdir(parents=True, exist_ok=True)
        for tried in (folder, folder / "log"):
            # Modes alone don't tell: root passes them, a read-only or full disk does not show.
            with tempfile.NamedTemporaryFile(dir=tried) as file:
                file.write(b"x")
    except (OSError, RuntimeError) as error:  # RuntimeError: links that lead in a circle
        reason = getattr(error, "strerror", None) or error
        raise StackError(
            f"{folder} can't hold the state: {reason}. Set STOCKROOM_VAR to a folder that can be"
            " written to."
        ) from error
    return folder


def lock_of(var_dir: Path) -> ExitStack | None:
    """The lock that a running Stockroom holds, closed with the result; None while it has it."""
    lock = (var_dir / "run.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return None
    held = ExitStack()
    held.enter_context(lock)
    return held


def make_ready(var_dir: Path, environment: Mapping[str, str], say: Say) -> None:
    """What precedes a start of all: nothing while Stockroom runs, which its supervisor says.

    Raises EngineError where data can't be read by our engines, OSError where nothing can be
    written.
    """
    try:
        lock = lock_of(var_dir)
    except OSError:  # the supervisor says why
        return
    if lock is not None:
        with lock:
            make_whole(var_dir, environment, say)


def make_whole(
    var_dir: Path, environment: Mapping[str, str], say: Say, engines: Collection[str] | None = None
) -> None:
    """Finish a restore that was cut, then look at the data of `engines`, as `data_format.check`.

    The caller holds the lock of `var_dir`.
    """
    finish_cut(var_dir, say)
    data_format.check(var_dir, environment, engines)


def finish_cut(var_dir: Path, say: Say) -> None:
    """Finish a restore that was killed while it put its folders in place.

    The caller holds the lock of `var_dir`.
    """
    if (var_dir / SWAP).exists():
        say("finishing the restore that was cut off")
        _put_in_place(var_dir)


def swap(var_dir: Path, names: list[str], say: Say) -> None:
    """Put what is in MAKING in the place of what is there, in such a way that a kill leaves both.

    `names` are those of folders and files.
    """
    aside = f"replaced-{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}"
    plan = var_dir / SWAP
    written = plan.with_name(f"{SWAP}.new")
    written.write_text(json.dumps({"names": names, "aside": aside}))
    written.replace(plan)
    _put_in_place(var_dir)
    if (var_dir / aside).is_dir():
        say(f"what was there before is in {var_dir / aside}: delete it when all is well")


def _put_in_place(var_dir: Path) -> None:
    plan = json.loads((var_dir / SWAP).read_text())
    aside = var_dir / plan["aside"]
    for name in plan["names"]:
        made, place = var_dir / MAKING / name, var_dir / name
        if made.exists():  # else it is in place already
            if place.exists():
                aside.mkdir(mode=0o711, exist_ok=True)
                place.rename(aside / name)
            made.rename(place)
    (var_dir / SWAP).unlink()
    shutil.rmtree(var_dir / MAKING, ignore_errors=True)
