"""Pages of jobs: their history, one of them live with what it found, downloads, cancel, repeat."""

from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.db import OperationalError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_POST, require_safe

from config.accounts.permissions import requires
from config.listing import newest_first, row_id
from stocksync.jobs import downloads, files, service
from stocksync.jobs.progress import snapshot
from stocksync.models import Clock, SyncJob, SyncState

from . import commands, ignored, job_words, rejects, trees, words

JOBS = 25


def with_files() -> QuerySet[SyncJob]:
    """Jobs with what every page of them needs."""
    return SyncJob.objects.select_related("events", "output", "rejects", "created_by")


@require_safe
def job_list(request: HttpRequest) -> HttpResponse:
    """All jobs, newest first; its rows alone for htmx."""
    page = newest_first(
        with_files().defer("checkpoint"),
        before=row_id(request, "before"),
        after=row_id(request, "after"),
        size=JOBS,
    )
    context = {
        "page": page,
        "running": any(not job.ended for job in page.rows),
        "ticked": request.GET.getlist("job"),
    }
    response = render(
        request, "stocksync/rows.html" if request.htmx else "stocksync/list.html", context
    )
    patch_vary_headers(response, ["HX-Request"])
    return response


@require_safe
def job(request: HttpRequest, pk: int, tab: str = "") -> HttpResponse:
    """One job: how far it is, and what it found in one of its tabs; its part alone for htmx."""
    found = get_object_or_404(with_files(), pk=pk)
    state = snapshot(found)
    tab = tab or "trees"
    has_result = found.state == SyncState.DONE and found.purged_at is None
    context: dict[str, Any] = {
        "job": found,
        "snapshot": state,
        "counts": state["counts"],
        "words": job_words.doing(state),
        "left": job_words.left(state),
        "reasons": {code: state["counts"]["refused"].get(code, 0) for code in words.REASONS},
        "other_clock": Clock.GLOBAL if found.clock == Clock.TREE else Clock.TREE,
        "tab": tab,
        "has_result": has_result,
        "nothing_read": job_words.nothing_read(state["counts"]),
    }
    if has_result:
        context |= _FOUND[tab](request, found)
    elif found.ended and found.purged_at is None:
        context["rejects"] = _rejects(request, found)
    response = render(
        request, "stocksync/job_part.html" if request.htmx else "stocksync/job.html", context
    )
    patch_vary_headers(response, ["HX-Request"])
    return response


def _trees(request: HttpRequest, found: SyncJob) -> dict[str, Any]:
    which = request.GET.get("show", "")
    which = which if which in trees.FILTERS else ""
    run = trees.find(found, which, **edges(request))
    return {"run": run, "which": which, "filters": trees.FILTERS}


def _commands(request: HttpRequest, found: SyncJob) -> dict[str, Any]:
    try:
        at = None if request.GET.get("at") == "last" else row_id(request, "at") or 0
        return {"commands": commands.page(found, at)}
    except files.FileGone:
        return {"commands": None}


def _ignored(request: HttpRequest, found: SyncJob) -> dict[str, Any]:
    if not found.traced:
        return {"rejects": _rejects(request, found)}
    counted = ignored.counts(found)
    first = next((kind for kind, number in counted.items() if number), "refused")
    which = request.GET.get("show", "")
    which = which if which in counted else first
    code = request.GET.get("code", "") if which == "refused" else ""
    code = code if code in words.REASONS else ""
    kinds = [(kind, words.VERDICTS[kind][0], number) for kind, number in counted.items()]
    run = ignored.find(found, which, code, **edges(request))
    return {"run": run, "which": which, "code": code, "kinds": kinds}


def _rejects(request: HttpRequest, found: SyncJob) -> rejects.Page | None:
    try:
        return rejects.page(found, row_id(request, "at") or 0)
    except files.FileGone:
        return None


_FOUND = {"trees": _trees, "commands": _commands, "ignored": _ignored}


def edges(request: HttpRequest, prefix: str = "") -> dict[str, int | None]:
    """`before` and `after` of a keyset run, from the query."""
    return {name: row_id(request, f"{prefix}{name}") for name in ("before", "after")}


@require_POST
@requires("stocksync:write")
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop it; what was found so far stays."""
    found = get_object_or_404(SyncJob, pk=pk)
    try:
        service.cancel(found.pk)
    except OperationalError:
        messages.error(request, "It could not be cancelled just now. Try again in a moment.")
    return redirect("stocksync:job", pk=pk)


@require_POST
@requires("stocksync:write")
def repeat(request: HttpRequest, pk: int) -> HttpResponse:
    """Run again on the same events, with the clock that the form names."""
    found = get_object_or_404(with_files(), pk=pk)
    clock = request.POST.get("clock", "")
    try:
        again = service.repeat(found, request.user, clock if clock in Clock else found.clock)
    except service.NotRepeatable as why:
        messages.error(request, str(why))
        return redirect("stocksync:job", pk=pk)
    return redirect("stocksync:job", pk=again.pk)


@require_safe
def output_jsonl(request: HttpRequest, pk: int) -> HttpResponse:
    """The commands with the summary as their last line, as the command line writes them."""
    return _download(request, pk, "output")


@require_safe
def rejects_jsonl(request: HttpRequest, pk: int) -> HttpResponse:
    """The refused lines, each with line, code, reason and raw text."""
    return _download(request, pk, "rejects")


@require_safe
def summary_json(request: HttpRequest, pk: int) -> HttpResponse:
    """Counts and state of the job."""
    found = get_object_or_404(with_files(), pk=pk)
    return HttpResponse(
        downloads.summary_json(found),
        content_type="application/json",
        headers=_as_file(f"summary-{found.pk}.json"),
    )


def _download(request: HttpRequest, pk: int, which: str) -> HttpResponse:
    found = get_object_or_404(with_files(), pk=pk)
    try:
        lines = _begun(getattr(downloads, f"{which}_lines")(found))
    except files.FileGone as gone:
        messages.error(request, str(gone))
        return redirect("stocksync:job", pk=pk)
    return StreamingHttpResponse(
        lines,
        content_type="application/x-ndjson",
        headers=_as_file(f"{which}-{found.pk}.jsonl"),
    )


def _begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces, of which the first is read: what is gone is known before the answer."""
    first = next(pieces, b"")

    def whole() -> Iterator[bytes]:
        yield first
        yield from pieces

    return whole()


def _as_file(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}
