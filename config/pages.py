"""The pages shown on errors.

config/urls.py names the error pages (`handler404` …), the settings the CSRF one.
Under /api/ and /events/ the same errors are JSON (config.api_errors).
"""

import sys
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.template import loader
from django.views.decorators.csrf import requires_csrf_token

from config import api_errors


@requires_csrf_token
def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error(request, HTTPStatus.BAD_REQUEST, "The request could not be understood.")


@requires_csrf_token
def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error(request, HTTPStatus.FORBIDDEN, str(exception) or "You may not do this.")


@requires_csrf_token
def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error(request, HTTPStatus.NOT_FOUND, "There is nothing at this address.")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form without its token: an old tab, or cookies refused. Says how to go on."""
    if api_errors.wants_json(request):
        message = "The CSRF token is missing or wrong: send the cookie `csrftoken` as X-CSRFToken."
        return api_errors.response(HTTPStatus.FORBIDDEN, message, code="csrf_failed")
    return HttpResponse(loader.render_to_string("403_csrf.html"), status=HTTPStatus.FORBIDDEN)


@requires_csrf_token
def server_error(request: HttpRequest) -> HttpResponse:
    """Error 500, or 503 where the database is away.

    Rendered without the request, so that it needs neither session nor database.
    """
    outage = isinstance(sys.exception(), api_errors.OUTAGES)
    status = HTTPStatus.SERVICE_UNAVAILABLE if outage else HTTPStatus.INTERNAL_SERVER_ERROR
    if api_errors.wants_json(request):
        answer = api_errors.response(status)
    else:
        page = loader.render_to_string("500.html", {"outage": outage})
        answer = HttpResponse(page, status=status)
    if outage:
        answer.headers["Retry-After"] = str(api_errors.RETRY_SECONDS)
    return answer


def _error(request: HttpRequest, status: HTTPStatus, message: str) -> HttpResponse:
    if api_errors.wants_json(request):
        return api_errors.response(status, message)
    context = {"message": message}
    return HttpResponse(
        loader.render_to_string(f"{status.value}.html", context, request), status=status
    )
