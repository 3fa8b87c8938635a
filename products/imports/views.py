"""Pages of imports: they parse a request, call one service and render."""

import csv
from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from config.accounts.permissions import requires
from config.listing import newest_first, row_id
from products.models import Import

from . import reject_pages
from .progress import snapshot
from .uploads import ENCODINGS

PIECE_CHARACTERS = 1024**2  # of rejects.csv, sent at a time


@require_safe
def import_list(request: HttpRequest) -> HttpResponse:
    """All imports, newest first; its rows alone for htmx."""
    page = newest_first(
        Import.objects.select_related("upload", "created_by"),
        before=row_id(request, "before"),
        after=row_id(request, "after"),
        size=25,
    )
    context = {"page": page, "running": any(not job.ended for job in page.rows)}
    template = "imports/rows.html" if request.htmx else "imports/list.html"
    return render(request, template, context)


@require_safe
@requires("catalogue:write")
def new_import(request: HttpRequest) -> HttpResponse:
    """Choose a file and how to import it. The page becomes the import's own once it is sent."""
    return render(request, "imports/import.html", _import_context(None))


@require_safe
def import_page(request: HttpRequest, pk: int) -> HttpResponse:
    """One import, live."""
    job = get_object_or_404(Import.objects.select_related("upload", "created_by"), pk=pk)
    return render(request, "imports/import.html", _import_context(job))


@require_safe
def rejects_csv(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """All refused lines of an import: line, column, reason, raw text."""
    job = get_object_or_404(Import, pk=pk)
    return StreamingHttpResponse(
        _reject_lines(job),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="rejects-{job.pk}.csv"'},
    )


class _Echo:
    """A file for csv.writer that hands each line on."""

    def write(self, line: str) -> str:
        return line


def _reject_lines(job: Import) -> Iterator[str]:
    writer: Any = csv.writer(_Echo())
    yield "\ufeff" + writer.writerow(["line", "column", "reason", "raw"])
    piece, characters = [], 0
    for reject in reject_pages.every(job):
        row = [reject.line, reject.column, reject.reason, _as_text(reject.raw)]
        piece.append(writer.writerow(row))
        characters += len(piece[-1])
        if characters >= PIECE_CHARACTERS:
            yield "".join(piece)
            piece, characters = [], 0
    yield "".join(piece)


def _as_text(cell: str) -> str:
    """A spreadsheet would run a row that begins like a formula; an apostrophe keeps it text."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _import_context(job: Import | None) -> dict[str, Any]:
    return {
        "job": job,
        "snapshot": snapshot(job) if job else None,
        "encodings": ENCODINGS.items(),
    }
