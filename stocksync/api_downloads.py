"""REST API of what a job wrote: files, streamed as they are stored."""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiResponse, OpenApiTypes, extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from config.api_etags import etag, is_known
from config.api_schema import ETAG, IF_NONE_MATCH, refused
from stocksync.jobs import downloads
from stocksync.jobs.files import FileGone
from stocksync.models import StoredFile

from . import api_examples
from .api import SyncView, job_of
from .api_examples import LINES
from .api_refusals import NOT_DONE, NOT_ENDED, Gone, check_done, check_ended, check_kept
from .serializers import SyncSummarySerializer

HAVE_IT = {304: OpenApiResponse(description="You have it.")}
PURGED = refused(_410="The job's files were let go of.")


class Download(SyncView):
    """A file that does not change any more: its ETag is that of its bytes for good."""

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """The file or an error, whatever is accepted: there is nothing else to give."""
        renderer = JSONRenderer()
        return renderer, renderer.media_type

    def send(
        self, request: Request, file: StoredFile, name: str, pieces: Callable[[], Iterable[bytes]]
    ) -> HttpResponseBase:
        """The file's lines as a download called `name`; none are read for a HEAD or a 304."""
        version = file.pk.hex
        if is_known(request, version):
            return not_modified(version)
        try:
            lines = () if request.method == "HEAD" else pieces()
        except FileGone:  # let go of since the job was read
            raise Gone from None
        headers = {**attached(name, version), "Content-Length": str(file.size_bytes)}
        return StreamingHttpResponse(lines, content_type=LINES, headers=headers)


def attached(name: str, version: str) -> dict[str, str]:
    """The headers of a download that is stored as `name`."""
    return {
        "Content-Disposition": f'attachment; filename="{name}"',
        "ETag": etag(version),
    }


def not_modified(version: str) -> HttpResponse:
    return HttpResponse(status=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag(version)})


class Output(Download):
    """`/api/stocksync/jobs/{id}/output`."""

    @extend_schema(
        operation_id="stocksync_jobs_output",
        summary="The commands of a job, and its StockSummary",
        description=(
            "One JSON object a line, in the order of the events; byte for byte what"
            " `python -m stocksync` writes. The last line is the StockSummary, so a file without it"
            " is not whole."
        ),
        parameters=[IF_NONE_MATCH, ETAG],
        responses={
            (200, LINES): OpenApiTypes.STR,
            **HAVE_IT,
            **refused(_409=f"{NOT_ENDED} {NOT_DONE}"),
            **PURGED,
        },
        examples=[api_examples.lines("Commands", api_examples.OUTPUT)],
    )
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        job = job_of(pk)
        check_done(job)
        check_kept(job)
        name = f"output-{job.pk}.jsonl"
        return self.send(request, job.output, name, lambda: downloads.output_lines(job))


class Rejects(Download):
    """`/api/stocksync/jobs/{id}/rejects`."""

    @extend_schema(
        operation_id="stocksync_jobs_rejects",
        summary="The refused lines of a job",
        description=(
            "One JSON object a line, in the order in which they were refused: number of the line,"
            " code, reason, and the line itself. Also of a job that failed or was cancelled, as far"
            " as it came."
        ),
        parameters=[IF_NONE_MATCH, ETAG],
        responses={
            (200, LINES): OpenApiTypes.STR,
            **HAVE_IT,
            **refused(_409=NOT_ENDED),
            **PURGED,
        },
        examples=[api_examples.lines("Rejects", api_examples.REJECTS)],
    )
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        job = job_of(pk)
        check_ended(job)
        check_kept(job)
        name = f"rejects-{job.pk}.jsonl"
        return self.send(request, job.rejects, name, lambda: downloads.rejects_lines(job))


class Summary(Download):
    """`/api/stocksync/jobs/{id}/summary.json`."""

    @extend_schema(
        operation_id="stocksync_jobs_summary",
        summary="The counts of a job as a file",
        description=(
            "What its address has of it, to be kept beside the output. Of every job that has ended,"
            " also when its files were let go of."
        ),
        parameters=[IF_NONE_MATCH, ETAG],
        responses={200: SyncSummarySerializer, **HAVE_IT, **refused(_409=NOT_ENDED)},
        examples=[api_examples.answer("Counts", api_examples.SUMMARY)],
    )
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        job = job_of(pk)
        check_ended(job)
        version = f"{job.output_id.hex}-summary"
        if is_known(request, version):
            return not_modified(version)
        name = f"summary-{job.pk}.json"
        data = downloads.summary_json(job)
        return HttpResponse(data, content_type="application/json", headers=attached(name, version))
