"""GET /metrics: what Prometheus scrapes, for those with METRICS_TOKEN or a login."""

import logging
from collections.abc import Iterable
from hmac import compare_digest
from http import HTTPStatus

import redis
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from config.operations import sample
from config.operations.limits import limits
from config.operations.problems import problems
from config.version import version

from .families import families
from .sums import totals

logger = logging.getLogger(__name__)


@login_not_required
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The metrics of docs/metrics.md, in the format that the client asks for.

    Nobody is told whether a wrong token was near; one of at least 32 characters (a rule of the
    setting) can't be guessed, so wrong ones are not counted.
    """
    refusal = _refusal(request)
    if refusal:
        answer = HttpResponse(
            f"{refusal}\n", status=HTTPStatus.UNAUTHORIZED, content_type="text/plain; charset=utf-8"
        )
        answer.headers["WWW-Authenticate"] = 'Bearer realm="Stockroom metrics"'
        return answer
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(_current()))
    return HttpResponse(encode(registry), content_type=content_type)


def _refusal(request: HttpRequest) -> str:
    """Why this request gets nothing, "" where it does. A token asks no database."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        if request.user.is_authenticated:
            return ""
        return "Sign in, or send Authorization: Bearer with the METRICS_TOKEN of this Stockroom."
    wanted = settings.METRICS_TOKEN
    if not wanted:
        return "This Stockroom takes no token here: set METRICS_TOKEN."
    if not compare_digest(given.strip().encode(), wanted.encode()):
        return "This is not the METRICS_TOKEN of this Stockroom."
    return ""


def _current() -> list[Metric]:
    """Where Redis is away only what is known without it."""
    try:
        counted, newest = totals(), sample.read()
    except redis.RedisError as error:
        logger.warning("no figures for /metrics while Redis is away: %s", type(error).__name__)
        counted, newest = None, None
    wrong = problems(newest, limits()) if newest is not None else []
    return list(families(version(), newest, wrong, counted))


class _Collected(Collector):
    """Metrics that are made already."""

    def __init__(self, made: Iterable[Metric]) -> None:
        self._made = made

    def collect(self) -> Iterable[Metric]:
        return self._made
