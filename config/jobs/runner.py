"""Runs a job as short steps, each one transaction with its checkpoint.

`advance` may be killed at any line and called again, by several at once. The kinds of
jobs (imports, bulk changes) say what a step is.
"""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import QuerySet

from config import request_log

from . import claims
from .models import Job

logger = logging.getLogger(__name__)

J = TypeVar("J", bound=Job)

ASK_SECONDS = 3  # how long a request waits for the step that holds its job
REPEATS = 5  # a step that meets a concurrent edit of the same rows is tried again


class Work(ABC, Generic[J]):
    """What a kind of job is to `advance`."""

    model: type[J]
    # Errors that end the job at once, with their text; all others are tried again.
    FATAL: ClassVar[tuple[type[Exception], ...]] = ()

    @abstractmethod
    def step(self, job: J) -> bool:
        """Do the next piece of work in the current transaction; False when there is none now."""

    def advance_seconds(self) -> float:
        """How long one `advance` works; asked after each step."""
        return settings.IMPORT_STEP_SECONDS

    def leave(self, claim: claims.Claim) -> None:
        """Called where an `advance` is over before its job, outside of any transaction."""

    @abstractmethod
    def with_work(self) -> QuerySet[J]:
        """Jobs that a step could move on now."""

    @abstractmethod
    def finish(self, job_id: int, state: str, error: str = "") -> bool:
        """End the job (claims.end) and what goes with it; False when it had ended already."""

    @abstractmethod
    def cancel_note(self, job: J) -> str:
        """What a cancel leaves behind, in words."""

    @abstractmethod
    def changed(self, job_id: int) -> None:
        """Tell viewers soon."""

    @abstractmethod
    def flush(self, job_id: int) -> None:
        """Tell viewers now."""


def advance(work: Work[J], job_id: int) -> bool:
    """Work on a job for `advance_seconds`; returns whether more can be done now.

    An unexpected error is recorded on the job and raised; the sweep tries again,
    and after IMPORT_MAX_STALLS claims without one step done the job fails with it.
    """
    with request_log.restored():  # a step sets its job's
        return _advance(work, job_id)


def _advance(work: Work[J], job_id: int) -> bool:
    claim = claims.take(work.model, job_id)
    if claim is None:
        return False
    if claim.stalls > settings.IMPORT_MAX_STALLS:
        error = work.model._base_manager.values_list("error", flat=True).get(pk=job_id)
        reason = error or "the worker was stopped each time; is there enough memory?"
        work.finish(job_id, "failed", f"Tried {claim.stalls - 1} times in vain: {reason}")
        return False
    began = time.monotonic()
    try:
        while step(work, claim):
            work.changed(job_id)
            if time.monotonic() - began > work.advance_seconds():
                work.leave(claim)
                break
    except claims.ClaimLost as lost:
        logger.warning("%s: gave up, it has ended or another worker has it", lost)
        return False
    except Exception as error:
        if isinstance(error, work.FATAL):
            work.finish(job_id, "failed", str(error))
            return False
        try:
            claims.release(claim, error=first_line(error))
        except DatabaseError:  # the database itself is away: the claim goes stale instead
            logger.warning("%s: not released", claim)
        raise
    claims.release(claim)
    work.flush(job_id)
    # Asked after the release: whoever brought work while we held the claim was sent away.
    return work.with_work().filter(pk=job_id).exists()


def step(work: Work[J], claim: claims.Claim, piece: Callable[[J], bool] | None = None) -> bool:
    """Do `piece`, else the next step, in one transaction; False when there is no more now."""
    for repeat in range(REPEATS):
        try:
            with transaction.atomic():
                job: J = claims.hold(claim)  # type: ignore[assignment]
                job.in_vain = claim.stalls - 1
                if job.request_id:
                    request_log.request_id.set(job.request_id)
                if job.cancel_requested:
                    work.finish(job.pk, "cancelled", work.cancel_note(job))
                    return False
                return (piece or work.step)(job)
        except (IntegrityError, OperationalError) as error:
            if repeat + 1 == REPEATS or not passes_by_itself(error):
                raise
            logger.info("%s: step repeated after: %s", claim, first_line(error))
    raise AssertionError("unreachable")


def ask(jobs: QuerySet[J], **flags: bool) -> bool:
    """Set flags that the next step reads; whether there was such a job.

    A step keeps its job locked, well under a second unless its worker is frozen: then
    OperationalError after ASK_SECONDS, which the API answers with 503 and Retry-After.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{ASK_SECONDS}s"])
        return jobs.update(**flags) == 1


def forgotten(work: Work[J]) -> list[int]:
    """Ids of jobs with work to do that no live worker holds, in the order of `with_work`."""
    return list(work.with_work().filter(claims.unheld()).values_list("pk", flat=True))


def passes_by_itself(error: Exception) -> bool:
    """Whether the database refused a step only because of what somebody else did meanwhile."""
    code = getattr(error.__cause__, "pgcode", None)
    # unique violation, deadlock, serialization, lock timeout
    return code in {"23505", "40P01", "40001", "55P03"}


def first_line(error: BaseException) -> str:
    """An unexpected error as it is kept with the job."""
    return f"{type(error).__name__}: {error}".strip().splitlines()[0][:500]
