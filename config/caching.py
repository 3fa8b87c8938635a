"""Who may keep a response: nobody, unless its view says otherwise. A Django middleware.

Pages show an account's data, and a browser or proxy that keeps them would show them to the next.
"""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

NOT_KEPT = "private, no-store"


class NotKeptMiddleware:
    """Stands below WhiteNoise, whose static files are kept."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        response.headers.setdefault("Cache-Control", NOT_KEPT)
        return response
