"""Whether a stream may be opened. The stream itself is sent by config/live/streams.py.

Django only answers who asks and what they may read, in an ordinary thread with its kept
database connection; the waiting is done without Django, thread or connection.
"""

from dataclasses import dataclass, field
from http import HTTPStatus

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET
from django_eventstream.utils import get_channelmanager

from config import api_errors

from .channels import is_channel

GRANT = "stockroom.grant"  # key in the ASGI scope under which the asker leaves a Grant


@dataclass
class Grant:
    """Filled in by the view when the stream may be opened."""

    user_id: int | None = None
    channels: set[str] = field(default_factory=set)


@login_not_required  # an EventSource can't follow a redirect to a login page
@require_GET
def events(request: HttpRequest, channel: str) -> HttpResponse:
    """Grant the stream of `channel`, or say why not."""
    if not is_channel(channel):
        return api_errors.response(HTTPStatus.NOT_FOUND, f"There is no channel {channel}.")
    if not request.user.is_authenticated:
        return api_errors.response(HTTPStatus.UNAUTHORIZED, "Sign in to follow this page live.")
    if not get_channelmanager().can_read_channel(request.user, channel):
        return api_errors.response(HTTPStatus.FORBIDDEN, f"You may not read {channel}.")
    grant = request.META.get("asgi.scope", {}).get(GRANT)
    if grant is None:
        return api_errors.response(
            HTTPStatus.NOT_IMPLEMENTED, "Streams need the ASGI server (config.asgi); poll instead."
        )
    grant.user_id, grant.channels = request.user.pk, {channel}
    # The proxies on the way: keep nothing back, keep nothing.
    headers = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
    return HttpResponse(content_type="text/event-stream", headers=headers)
