"""The list page's *Export*."""

from django.http import HttpRequest, StreamingHttpResponse
from django.views.decorators.http import require_safe

from . import export
from .filters import Filter


@require_safe
def export_csv(request: HttpRequest) -> StreamingHttpResponse:
    """The products of the list's `q` and `state` as a CSV file."""
    return export.response(request, Filter.from_query(request.GET))
