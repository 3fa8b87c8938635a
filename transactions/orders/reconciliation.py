"""One reconciliation of credit and orders from beginning to end, for the command and each night."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum

import django.db
import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from transactions.models import OrderReconciliation

from . import reconciling, repairing
from .drift import Findings
from .repairing import Repair

logger = logging.getLogger(__name__)

REDIS_SECONDS = 10.0
MOST_REPAIRS = 5  # of users whose credit changes meanwhile
KEPT = 400


class Mend(Enum):
    """How drift is put right."""

    DEDUCT = "deduct"
    ADOPT = "adopt"


@dataclass(frozen=True)
class Outcome:
    """What was found at first, what was done, and what is there now."""

    found: Findings
    left: Findings
    repairs: list[Repair]
    seconds: float


def run(mend: Mend | None = None, until: float | None = None) -> Outcome:
    """Compare, repair where that is asked for, and keep the result.

    `until` bounds a comparison, by time.monotonic(). Raises redis.RedisError and django.db.Error,
    which are kept too where the database takes it.
    """
    began = time.monotonic()
    repairs: list[Repair] = []
    try:
        with connected() as client:
            found = left = reconciling.reconcile(client, until)
            for _ in range(MOST_REPAIRS if mend is not None and found.drifts else 0):
                change = repairing.deduct if mend is Mend.DEDUCT else repairing.adopt
                done = change(client, left)
                repairs += [each for each in done if not each.changed]
                left = reconciling.reconcile(client, until)
                if not any(each.changed for each in done):
                    break
    except (redis.RedisError, django.db.Error) as error:
        _keep_failure(time.monotonic() - began, str(error).strip() or type(error).__name__)
        raise
    outcome = Outcome(found, left, repairs, time.monotonic() - began)
    OrderReconciliation.objects.create(
        seconds=outcome.seconds,
        drifts=left.drifts,
        drift=left.json(),
        repaired=left.drifts < found.drifts,
    )
    _let_go()
    return outcome


@contextmanager
def connected() -> Iterator[redis.Redis]:
    """A client of the Redis of prices and credit, which repeats nothing by itself."""
    client = redis.Redis.from_url(
        settings.PRICES_REDIS_URL,
        socket_timeout=REDIS_SECONDS,
        socket_connect_timeout=REDIS_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        yield client
    finally:
        client.close()


def _keep_failure(seconds: float, failure: str) -> None:
    try:
        OrderReconciliation.objects.create(seconds=seconds, failure=failure)
        _let_go()
    except django.db.Error as error:
        logger.warning("orders: the failure could not be kept: %s", str(error).strip())


def _let_go() -> None:
    kept = OrderReconciliation.objects.order_by("-id").values("id")[:KEPT]
    OrderReconciliation.objects.exclude(id__in=kept).delete()
