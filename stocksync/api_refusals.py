"""Why results of a job are not given out, as errors of the API."""

from http import HTTPStatus

from rest_framework.exceptions import APIException

from config.api_errors import Conflict
from stocksync.models import SyncJob, SyncState

NOT_ENDED = "`not_ended`: it goes on."
NOT_DONE = "`not_done`: it failed or was cancelled."


class Gone(APIException):
    """The results of the job were let go of."""

    status_code = HTTPStatus.GONE
    default_code = "gone"
    default_detail = (
        "The files and results of this job were let go of; its counts are kept. Send the file"
        " again if you need them."
    )


def check_ended(job: SyncJob) -> None:
    """Raises Conflict while the job goes on."""
    if not job.ended:
        raise Conflict(
            f"This job has not ended yet ({job.state}). Ask again when `ended` is true.",
            "not_ended",
        )


def check_done(job: SyncJob) -> None:
    """Raises Conflict unless the job has come to its end."""
    check_ended(job)
    if job.state != SyncState.DONE:
        how = "failed" if job.state == SyncState.FAILED else "was cancelled"
        raise Conflict(
            f"This job {how}, so it has no results. Repeat it, or look at its rejects.", "not_done"
        )


def check_kept(job: SyncJob) -> None:
    """Raises Gone once the job's files and results are let go of."""
    if job.purged_at is not None:
        raise Gone
