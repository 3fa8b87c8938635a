"""How a job stands, in words. Pure: from its snapshot (stocksync/jobs/progress.py)."""

from typing import Any

from stocksync.jobs.progress import SILENT_SECONDS

UNITS = ("kB", "MB", "GB", "TB")


def size(count: int) -> str:
    """ "512 bytes", "9.8 MB"."""
    if count < 1000:
        return f"{count} byte{'' if count == 1 else 's'}"
    number = float(count)
    unit = -1
    while unit < 0 or (number >= 1000 and unit < len(UNITS) - 1):
        number /= 1000
        unit += 1
    return f"{number:.1f} {UNITS[unit]}" if number < 10 else f"{number:.0f} {UNITS[unit]}"


def limit(count: int) -> str:
    """A size that is allowed, rounded down: "1.07 GB", "2 kB". Whatever has so much is taken."""
    unit = 0
    while count >= 1000 ** (unit + 1) and unit < len(UNITS):
        unit += 1
    if not unit:
        return size(count)
    hundredths = count * 100 // 1000**unit
    number = f"{hundredths // 100}.{hundredths % 100:02}".rstrip("0").rstrip(".")
    return f"{number} {UNITS[unit - 1]}"


def duration(seconds: float) -> str:
    """ "less than 0.1 s", "0.4 s", "14 s", "3 min"."""
    if seconds < 0.1:
        return "less than 0.1 s"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def doing(snapshot: dict[str, Any]) -> str:
    """What happens now, or what came of it."""
    state = snapshot["state"]
    if state == "done":
        return outcome(snapshot["counts"])
    if state in ("failed", "cancelled"):
        read, whole = snapshot["read_bytes"], snapshot["size_bytes"]
        return f"{state.capitalize()} after {size(read)} of {size(whole)}"
    if snapshot["cancel_requested"]:
        return "Cancelling…"
    if snapshot["silent_seconds"] > SILENT_SECONDS:
        seconds = snapshot["silent_seconds"]
        return f"No sign of the worker for {seconds:.0f} s; another one takes over by itself"
    if state == "queued":
        return "Waiting for a worker"
    read, whole = snapshot["read_bytes"], snapshot["size_bytes"]
    if read >= whole:
        return "Writing down how each product ended up"
    return f"Reading {size(read)} of {size(whole)}"


def outcome(counts: dict[str, Any]) -> str:
    """ "Done: 13 events gave 10 commands; 3 events did not take effect"."""
    events, commands = counts["events"], sum(counts["commands"].values())
    if not events:
        return "Done: the file has no events"
    said = f"Done: {_count(events, 'event')} gave {_count(commands, 'command')}"
    ignored = events - counts["applied"]
    return f"{said}; {_count(ignored, 'event')} did not take effect" if ignored else said


def nothing_read(counts: dict[str, Any]) -> bool:
    """Whether there were events, as it seemed, and every one was refused."""
    return bool(counts["events"]) and sum(counts["refused"].values()) == counts["events"]


def left(snapshot: dict[str, Any]) -> str:
    """How long it still takes, or took."""
    if snapshot["ended"]:
        started, finished = snapshot["started_at"], snapshot["finished_at"]
        if started is None or finished is None:
            return ""
        return f"took {duration((finished - started).total_seconds())}"
    seconds = snapshot["seconds_left"]
    if seconds is None or snapshot["cancel_requested"]:
        return ""
    return "nearly there" if seconds < 1 else f"about {duration(round(seconds))} left"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
