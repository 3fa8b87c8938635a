"""Whether a stream may be opened. The stream itself is sent by config/live/streams.py.

Django only answers who asks and what they may read, in an ordinary thread with its kept
database connection; the waiting is done without Django, thread or connection.
"""

from dataclasses import dataclass, field
from http import HTTPStatus

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django_eventstream.utils import get_channelmanager
from rest_framework.exceptions import AuthenticationFailed

from config import api_errors
from config.accounts.authentication import TokenAuthentication

from .channels import is_channel, is_there_for, needed_right, token_may_read

GRANT = "stockroom.grant"  # key in the ASGI scope under which the asker leaves a Grant
NO_CHANNEL = "There is no such channel."


@dataclass
class Grant:
    """Filled in by the view when the stream may be opened."""

    user_id: int | None = None
    channels: set[str] = field(default_factory=set)


@login_not_required  # an EventSource can't follow a redirect to a login page
def events(request: HttpRequest, channel: str) -> HttpResponse:
    """Grant the stream of `channel`, or say why not.

    To who is signed in, and to an API token (`Authorization: Bearer`) with the channel's scope.
    """
    if request.method != "GET":
        return _refusal(HTTPStatus.METHOD_NOT_ALLOWED, "Use GET.", {"Allow": "GET"})
    try:
        found = TokenAuthentication().authenticate(request)
    except AuthenticationFailed as failure:
        return _unauthorized(str(failure.detail), "authentication_failed")
    user, token = found if found is not None else (request.user, None)
    if not user.is_authenticated:
        return _unauthorized("Sign in, or send an API token, to follow this live.")
    if not is_channel(channel):
        return _refusal(HTTPStatus.NOT_FOUND, NO_CHANNEL)
    if token is not None and not token_may_read(token, channel):
        needed = needed_right(channel)
        return _refusal(
            HTTPStatus.FORBIDDEN,
            f"This API token lacks the scope {needed}. Create one that has it under /account/.",
        )
    if not get_channelmanager().can_read_channel(user, channel):
        return _refusal(HTTPStatus.FORBIDDEN, "You may not read this channel.")
    if not is_there_for(channel, user, token):
        return _refusal(HTTPStatus.NOT_FOUND, NO_CHANNEL)
    grant = request.META.get("asgi.scope", {}).get(GRANT)
    if grant is None:
        return api_errors.response(
            HTTPStatus.NOT_IMPLEMENTED, "Streams need the ASGI server (config.asgi); poll instead."
        )
    grant.user_id, grant.channels = user.pk, {channel}
    # The proxies on the way: keep nothing back, keep nothing.
    headers = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
    return HttpResponse(content_type="text/event-stream", headers=headers)


def _refusal(
    status: HTTPStatus, message: str, headers: dict[str, str] | None = None, *, code: str = ""
) -> HttpResponse:
    answer = api_errors.response(status, message, code=code)
    for name, value in (headers or {}).items():
        answer.headers[name] = value
    return answer


def _unauthorized(message: str, code: str = "") -> HttpResponse:
    headers = {"WWW-Authenticate": 'Bearer realm="Stockroom"'}
    return _refusal(HTTPStatus.UNAUTHORIZED, message, headers, code=code)
