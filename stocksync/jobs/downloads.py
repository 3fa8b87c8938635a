"""What a job found, as files: streamed by pages and API, piece by piece from the database."""

import json
from collections.abc import Iterator

from stocksync.models import SyncJob, SyncState

from . import files
from .progress import snapshot


def output_lines(job: SyncJob) -> Iterator[bytes]:
    """The commands and the StockSummary of a job that is done, as the command line writes them.

    files.FileGone: it is not done, or purged.
    """
    if job.state != SyncState.DONE:
        raise files.FileGone("Only a job that is done has an output.")
    return files.pieces(job.output_id, end=files.size(job.output_id))


def rejects_lines(job: SyncJob) -> Iterator[bytes]:
    """The refused lines so far, as the command line writes them. files.FileGone: purged."""
    return files.pieces(job.rejects_id, end=files.size(job.rejects_id))


def summary_json(job: SyncJob) -> bytes:
    """The job's figures as indented JSON."""
    told = snapshot(job)
    names = ("id", "file_name", "size_bytes", "clock", "state", "error", "counts")
    figures = {name: told[name] for name in names}
    return json.dumps(figures, indent=2, ensure_ascii=False).encode() + b"\n"
