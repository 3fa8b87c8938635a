"""Starts, runs and brings back runs of checks. Hosted by tasks, pages, API and `check_data`.

A run is one call within CHECK_SECONDS, not steps: what a killed worker had is begun anew by
another. While it goes on a thread writes its heartbeat, as the check may wait in one statement.
"""

import logging
import threading
import time
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from config import live, request_log
from config.jobs import claims
from config.jobs.runner import first_line
from config.jobs.wakeups import wake

from . import registry
from .findings import NotChecked, Outcome
from .models import CheckRun, CheckState, Origin
from .watch import Lost, Watch

logger = logging.getLogger(__name__)

CHANNEL = "checks"
MOST_BEGINS = 3  # workers in a row that were stopped over it
BEATS = 5  # heartbeats within IMPORT_STALE_SECONDS
PROGRESS_SECONDS = 1.0
KEPT = 200  # runs of each check
LOST = (
    "Lost: each of the {} workers that began it was stopped. Is there enough memory?"
    " `manage.py check_data {}` runs it here and shows how it ends."
)


def start(
    names: Iterable[str] = (),
    *,
    by: Any = None,
    origin: str = Origin.PERSON,
    options: dict[str, Any] | None = None,
) -> list[CheckRun]:
    """A run of each check of these names, all where none is named, and a worker woken for them.

    One that is queued or running already is taken instead of a second one. Raises
    registry.Unknown.
    """
    runs = [_begin(check.name, by, origin, options or {}) for check in registry.chosen(names)]
    if origin != Origin.COMMAND:
        wake("config.checks.tasks.advance")
    transaction.on_commit(_tell)
    return runs


def _begin(name: str, by: Any, origin: str, options: dict[str, Any]) -> CheckRun:
    for _ in range(5):
        try:
            with transaction.atomic():
                return CheckRun.objects.create(
                    name=name, created_by=by, origin=origin, options=options
                )
        except IntegrityError:
            there = open_runs().filter(name=name).first()
            if there is not None:
                return there
    raise RuntimeError(f"runs of {name} begin and end all the time")


def open_runs() -> QuerySet[CheckRun]:
    """Those that have not ended, the oldest first."""
    return CheckRun.objects.exclude(state__in=CheckRun.ENDED).order_by("pk")


def waiting() -> list[int]:
    """Ids of runs that a worker could take now: none while another one works on any.

    One at a time, so that checks never take more than one of the workers that imports need.
    """
    unheld = list(open_runs().filter(claims.unheld()).values_list("pk", flat=True))
    return unheld if len(unheld) == open_runs().count() else []


def advance() -> bool:
    """Run the check that waits for longest; returns whether more wait."""
    found = waiting()
    if found:
        run(found[0], settings.CHECK_SECONDS)
    return bool(found) and bool(waiting())


def run(run_id: int, seconds: float | None) -> bool:
    """Run it, for `seconds` at most (None: as long as it takes); False where another has it."""
    claim = claims.take(CheckRun, run_id)
    if claim is None:
        return False
    mine = open_runs().filter(pk=run_id, claim=claim.number)
    row = mine.get()
    if row.request_id:
        request_log.request_id.set(row.request_id)
    if claim.stalls > MOST_BEGINS or row.name not in registry.BY_NAME:
        gone = LOST.format(MOST_BEGINS, row.name)
        _end(mine, CheckState.ERROR, error=gone if claim.stalls > MOST_BEGINS else "No such check.")
        return True
    mine.update(state=CheckState.RUNNING, started_at=Now(), progress="")
    _tell()
    logger.info("%s: begins", claim)
    watch = Watch(seconds, reuse_seconds=row.options.get("reuse_seconds", 0))
    with Pulse(mine, watch):
        state, values = _look(registry.BY_NAME[row.name], watch)
    if state is None or not _end(mine, state, **values):
        logger.warning("%s: gave up, another worker has it", claim)
        return False
    said = values.get("error") or values.get("summary")
    level = logging.ERROR if state == CheckState.FAILED else logging.INFO
    logger.log(level, "%s: %s: %s", claim, state.value, said)
    return True


def _look(check: registry.Check, watch: Watch) -> tuple[CheckState | None, dict[str, Any]]:
    """How it ends, None where it is not ours any more, and the row's values."""
    try:
        outcome = check.run(watch)
        watch.over()
    except Lost:
        return None, {}
    except NotChecked as why:
        return CheckState.ERROR, {"error": str(why)}
    except Exception as error:
        logger.exception("check %s", check.name)
        return CheckState.ERROR, {"error": f"It ended with an error. {first_line(error)}"}
    return (CheckState.FAILED if outcome.found else CheckState.PASSED), _values(outcome)


def _values(outcome: Outcome) -> dict[str, Any]:
    return {
        "looked_at": outcome.looked_at,
        "summary": outcome.summary,
        "found": outcome.found,
        "findings": [each.json() for each in outcome.findings],
    }


def _end(mine: QuerySet[CheckRun], state: CheckState, **values: Any) -> bool:
    """Whether it was still ours."""
    row = mine.first()
    ended = mine.update(state=state, finished_at=Now(), heartbeat_at=None, progress="", **values)
    if ended and row is not None:
        runs = CheckRun.objects.filter(name=row.name)
        kept = runs.order_by("-pk").values("pk")[:KEPT]
        runs.filter(state__in=CheckRun.ENDED).exclude(pk__in=kept).delete()
        _tell()
    return bool(ended)


class Pulse:
    """Beats for a run from a thread with a connection of its own, until the `with` ends.

    Ends with its process. Past the time of the run, and the tasks' own limit, it beats no more: a
    check that hangs is another's then.
    """

    def __init__(self, mine: QuerySet[CheckRun], watch: Watch) -> None:
        self._mine = mine
        self._watch = watch
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="check-pulse", daemon=True)

    def __enter__(self) -> "Pulse":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        every = settings.IMPORT_STALE_SECONDS / BEATS
        limit = self._watch.until + settings.CELERY_TASK_TIME_LIMIT
        shown, beaten = "", time.monotonic()
        try:
            while not self._stop.wait(min(every, PROGRESS_SECONDS)):
                now, words = time.monotonic(), self._watch.words[:200]
                if now > limit:
                    break
                if words == shown and now - beaten < every:
                    continue
                try:
                    if not self._mine.update(heartbeat_at=Now(), progress=words):
                        self._watch.lost = True
                        break
                except DatabaseError as error:
                    logger.warning("a check's heartbeat was not written: %s", first_line(error))
                    connection.close()
                    continue
                if words != shown:
                    _tell()
                shown, beaten = words, now
        finally:
            connection.close()


def _tell() -> None:
    """Have open pages look again."""
    at = time.time()
    live.throttle(CHANNEL).flush(lambda: {"at": at})
