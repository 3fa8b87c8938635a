"""A job as operations shows it: called by the apps' operations.py."""

from collections.abc import Iterable
from typing import Any

from .models import Job


def shown(
    job: Job,
    kind: str,
    name: str,
    url: str,
    *,
    of: tuple[int | None, int | None] = (None, None),
    steps: Iterable[int] = (),
    has_work: bool = True,
) -> dict[str, Any]:
    """The job's row of a sample. `of` is how much is done, of how much.

    For those who tell whether it stalls: `progress`, another text after each step (all that a step
    changes is in `steps` or moves the heartbeat, which attempts in vain move too), and `has_work`:
    whether a worker could go on now. Without it the job waits for its user, or for another job.
    `waits_its_turn`: nobody holds it, and nobody has just tried in vain.
    """
    beaten_at = None if job.heartbeat_at is None else job.heartbeat_at.timestamp()
    done, total = of
    return {
        "kind": kind,
        "id": job.pk,
        "name": name,
        "state": job.state,
        "done": done,
        "total": total,
        "beaten_at": beaten_at,
        "url": url,
        "progress": " ".join(map(str, (job.state, *steps, "" if job.stalls else beaten_at))),
        "has_work": has_work,
        "waits_its_turn": beaten_at is None and not job.stalls,
    }
