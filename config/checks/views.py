"""Pages of checks: all with their last outcome, one run with what it found. They start them too."""

import csv
import io
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_POST, require_safe

from config.accounts.permissions import requires
from config.listing import newest_first, row_id

from . import registry, running
from .models import CheckRun
from .overview import rows

RUNS = 20
SHOWN = 100  # findings of a run's page; the download has all that are kept


@require_safe
def checks(request: HttpRequest) -> HttpResponse:
    """All checks, and the newest runs; their part alone for the script."""
    runs = CheckRun.objects.select_related("created_by").defer("findings")
    found = rows()
    page = newest_first(
        runs,
        before=row_id(request, "before"),
        after=row_id(request, "after"),
        size=RUNS,
    )
    context = {
        "rows": found,
        "page": page,
        "busy": all(row.now for row in found),
        "ever": any(row.now or row.last for row in found),
    }
    return _live(request, "list", context)


@require_safe
def check(request: HttpRequest, pk: int) -> HttpResponse:
    """One run."""
    run = get_object_or_404(CheckRun.objects.select_related("created_by"), pk=pk)
    context: dict[str, Any] = {
        "run": run,
        "check": registry.BY_NAME.get(run.name),
        "findings": run.findings[:SHOWN],
        "more": max(0, run.found - SHOWN),
        "not_kept": run.found - len(run.findings),
    }
    return _live(request, "run", context)


@require_POST
@requires("operations:write")
def run(request: HttpRequest) -> HttpResponse:
    """Start the checks named, all where none is; then their page, or that of the only one."""
    try:
        runs = running.start(request.POST.getlist("check"), by=request.user)
    except registry.Unknown as error:
        raise Http404(str(error)) from None
    said = "Started." if len(runs) == 1 else f"{len(runs)} checks started, one after the other."
    messages.success(request, said)
    return redirect("check", runs[0].pk) if len(runs) == 1 else redirect("checks")


@require_safe
def findings_csv(request: HttpRequest, pk: int) -> HttpResponse:
    """What a run has found, as far as it is kept."""
    run = get_object_or_404(CheckRun, pk=pk)
    text = io.StringIO("\ufeff")
    text.seek(0, io.SEEK_END)
    writer = csv.writer(text)
    writer.writerow(["place", "what", "advice"])
    for each in run.findings:
        writer.writerow([_as_text(each[name]) for name in ("place", "what", "advice")])
    return HttpResponse(
        text.getvalue(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="check-{run.name}-{run.pk}.csv"'},
    )


def _as_text(cell: str) -> str:
    """A spreadsheet would run a row that begins like a formula; an apostrophe keeps it text."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _live(request: HttpRequest, name: str, context: dict[str, Any]) -> HttpResponse:
    part = bool(request.htmx)  # type: ignore[attr-defined]
    response = render(request, f"checks/{name}{'_part' if part else ''}.html", context)
    patch_vary_headers(response, ["HX-Request"])
    return response
