"""How many requests an API token may make: API_REQUESTS_PER_MINUTE. Sessions are not limited.

`TokenRate` is DRF's throttle of all views (REST_FRAMEWORK in the settings), `RateHeaders` the
middleware that says on each answer what is left. A view's `uncounted_methods` are free: the
PATCHes of an upload come by the thousand and are bounded by its size.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from config import counters
from config.accounts.models import ApiToken
from config.outage import Outage

if TYPE_CHECKING:  # rest_framework.views imports this module, named by the settings
    from rest_framework.views import APIView

WINDOW_SECONDS = 60
KEY_PREFIX = "api-requests"
ATTRIBUTE = "token_rate"  # of Django's request, under which the middleware finds the Rate

_outage = Outage("counts of API requests")


@dataclass(frozen=True)
class Rate:
    """Where a token stands in its minute, which begins with its first request."""

    limit: int
    used: int
    seconds_left: float

    @property
    def exceeded(self) -> bool:
        return self.used > self.limit

    @property
    def reset_seconds(self) -> int:
        return max(1, math.ceil(self.seconds_left))


class TokenRate(BaseThrottle):
    """Counts a token's requests. Where Redis is away nobody is held up."""

    def __init__(self) -> None:
        self._rate: Rate | None = None

    def allow_request(self, request: Request, view: "APIView") -> bool:
        if not isinstance(request.auth, ApiToken):
            return True
        if request.method in getattr(view, "uncounted_methods", ()):
            return True
        self._rate = _counted(request.auth)
        if self._rate is None:
            return True
        setattr(request._request, ATTRIBUTE, self._rate)
        return not self._rate.exceeded

    def wait(self) -> float | None:
        """Seconds until requests are taken again, for Retry-After."""
        return None if self._rate is None else float(self._rate.reset_seconds)


class RateHeaders:
    """Middleware: RateLimit-Limit, -Remaining and -Reset (in seconds) where a token was counted."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        rate: Rate | None = getattr(request, ATTRIBUTE, None)
        if rate is not None:
            response.headers["RateLimit-Limit"] = str(rate.limit)
            response.headers["RateLimit-Remaining"] = str(max(0, rate.limit - rate.used))
            response.headers["RateLimit-Reset"] = str(rate.reset_seconds)
        return response


def _counted(token: ApiToken) -> Rate | None:
    """None where it can't be counted."""
    if _outage.holds():
        return None
    try:
        counted = counters.count(f"{KEY_PREFIX}:{token.pk}", WINDOW_SECONDS)
    except (RedisError, OSError) as error:
        _outage.begin(error)
        return None
    _outage.end()
    return Rate(settings.API_REQUESTS_PER_MINUTE, counted.count, counted.seconds_left)
