"""One JSON shape for every error under /api/ and /events/.

    {"error": {"code": "invalid", "message": "…", "fields": {"sku": ["…"]}}}

`code` is for programs and stays the same, `message` is for people and says what
to do, `fields` is there only where single fields of the input are at fault
(nested ones by path: "items.0.sku"), `other` only where something else stands in
the way: {"id": 7, "url": "http://…/api/products/7/"}. Codes by status:

    400 invalid, parse_error    401 not_authenticated, authentication_failed
    403 permission_denied, csrf_failed    404 not_found    405 method_not_allowed
    406 not_acceptable    409 conflict    413 too_large    415 unsupported_media_type
    429 throttled    500 server_error    503 unavailable, busy

A view's own code (APIException.default_code) goes through, and so do `other`, `fields` and
`headers` of the exception. Retry-After, Allow and WWW-Authenticate are kept. DRF calls
`exception_handler`; config.pages and the login middleware call `response` where no DRF view
is in charge.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from itertools import islice
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler as drf_exception_handler

logger = logging.getLogger(__name__)

OUTAGES = (OperationalError, InterfaceError)  # the database is away, or gave up waiting
LOCK_NOT_AVAILABLE = "55P03"
RETRY_SECONDS = 5
# Of a body that is nothing but unknown fields the answer would be longer than itself.
MESSAGES_AT_MOST = 100
NAME_CHARACTERS = 300
DEFAULTS = {
    400: ("invalid", "The request could not be understood. See /api/docs/ for what it should be."),
    401: (
        "not_authenticated",
        "Send an API token as `Authorization: Bearer stk_…`. Tokens are made under /account/.",
    ),
    403: ("permission_denied", "You may not do this."),
    404: ("not_found", "There is nothing at this address. Check the path and the id in it."),
    405: ("method_not_allowed", "This address does not take this method."),
    409: ("conflict", "This is not possible in the present state."),
    413: ("too_large", "The request is too large."),
    500: ("server_error", "The server failed on this request and has logged why. Repeat it later."),
    503: ("unavailable", "A part of the server is away. Repeat the request in a few seconds."),
}
IN_A_STEP = "The job is in the middle of a step. Try again in a few seconds."


class Conflict(exceptions.APIException):
    """The present state does not allow this; the detail says why."""

    status_code = HTTPStatus.CONFLICT
    default_code = "conflict"


class Unavailable(exceptions.APIException):
    """What the answer is made from is away; the detail says what, and what to do."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_code = "unavailable"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(RETRY_SECONDS)}


class Busy(exceptions.APIException):
    """Somebody else holds what this request needs; nothing was changed. `detail` says what."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_code = "busy"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(RETRY_SECONDS)}


@contextmanager
def asking_a_job() -> Iterator[None]:
    """Around what sets flags of a job: a step that holds it for too long is no outage."""
    try:
        yield
    except OperationalError as error:
        if getattr(error.__cause__, "pgcode", None) != LOCK_NOT_AVAILABLE:
            raise
        raise Busy(IN_A_STEP) from error


def wants_json(request: HttpRequest) -> bool:
    """Whether errors of this request are for a program, by its address."""
    return request.path_info.startswith(("/api/", "/events/"))


def body(
    status: int,
    message: str = "",
    *,
    code: str = "",
    fields: dict[str, list[str]] | None = None,
    other: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The error as a dict; what is left out comes from the status."""
    default_code, default_message = DEFAULTS.get(status, ("error", _phrase(status)))
    error: dict[str, Any] = {
        "code": code or default_code,
        "message": message or default_message,
    }
    if fields:
        error["fields"] = fields
    if other:
        error["other"] = other
    return {"error": error}


def _phrase(status: int) -> str:
    """HTTP's own words; tus adds codes that HTTP does not know."""
    return HTTPStatus(status).phrase if status in {s.value for s in HTTPStatus} else "Refused"


def response(status: int, message: str = "", *, code: str = "") -> JsonResponse:
    """The error as a response, for views that are not DRF's."""
    return JsonResponse(body(status, message, code=code), status=status)


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's EXCEPTION_HANDLER. None (a bug in a view) goes on to `handler500`."""
    if isinstance(exc, OUTAGES):
        logger.exception("database error in %s", type(context["view"]).__name__)
        status = HTTPStatus.SERVICE_UNAVAILABLE
        return Response(body(status), status, headers={"Retry-After": str(RETRY_SECONDS)})
    answer = drf_exception_handler(exc, context)
    if answer is None:
        return None
    if isinstance(exc, exceptions.ValidationError):
        answer.data = _invalid(exc)
    elif isinstance(exc, Http404 | PermissionDenied):
        answer.data = body(answer.status_code, str(exc) if _is_ours(exc) else "")
    else:
        answer.data = body(
            answer.status_code,
            _advice(exc, context),
            code=_code(exc),
            fields=getattr(exc, "fields", None),
            other=getattr(exc, "other", None),
        )
    for name, value in getattr(exc, "headers", {}).items():
        answer[name] = value
    return answer


def _is_ours(exc: Exception) -> bool:
    """Whether a view wrote the message: get_object_or_404's names model classes."""
    return bool(exc.args) and not str(exc).endswith("matches the given query.")


def _code(exc: exceptions.APIException) -> str:
    codes = exc.get_codes()
    return codes if isinstance(codes, str) and codes != "error" else ""


def _advice(exc: exceptions.APIException, context: dict[str, Any]) -> str:
    view = context["view"]
    match exc:
        case exceptions.MethodNotAllowed():
            allowed = ", ".join(view.allowed_methods)
            return f"{context['request'].method} is not possible here. Use one of: {allowed}."
        case exceptions.UnsupportedMediaType():
            parsers = ", ".join(parser.media_type for parser in view.get_parsers())
            return f"{exc.detail} Send one of: {parsers}."
        case exceptions.Throttled():
            wait = f"{exc.wait:.0f} s" if exc.wait is not None else "a while"
            return f"Too many requests. Try again in {wait}."
        case exceptions.NotAuthenticated() | exceptions.NotFound() if exc.detail == (
            exc.default_detail
        ):
            return ""
        case exceptions.APIException() if isinstance(exc.detail, str):
            return str(exc.detail)
    return ""


def _invalid(exc: exceptions.ValidationError) -> dict[str, Any]:
    fields: dict[str, list[str]] = {}
    general: list[str] = []
    for where, message in islice(_flatten(exc.detail), MESSAGES_AT_MOST):
        names = [name for name in where if name != api_settings.NON_FIELD_ERRORS_KEY]
        if names:
            fields.setdefault(".".join(names)[:NAME_CHARACTERS], []).append(message)
        else:
            general.append(message)
    if fields and not general:
        general = [f"Correct these fields: {', '.join(fields)}."]
    return body(HTTPStatus.BAD_REQUEST, " ".join(general), fields=fields)


def _flatten(detail: Any, where: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each message in DRF's nested detail with the path to it."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _flatten(inner, (*where, str(name)))
    elif isinstance(detail, list):
        for place, inner in enumerate(detail):
            at = (*where, str(place)) if isinstance(inner, dict | list) else where
            yield from _flatten(inner, at)
    else:
        yield where, str(detail)
