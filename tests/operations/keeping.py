"""Samples in Redis as the leader keeps them, for tests of the page."""

import copy
import json
import time
from typing import Any

from django.conf import settings

from config.operations import sample
from config.version import version
from tests.operations.example import AT, EXAMPLE, POINTS

KEYS = (sample.SAMPLE, sample.POINTS, sample.LEADER)
# A sample is old after three of these: never while a test runs, on however busy a machine.
PERIOD_SECONDS = 600.0
OLD_SECONDS = 3000.0


def apart(url: str) -> str:
    """A database beside that of `url`, where no web process of another test keeps its samples."""
    server, _, number = url.rpartition("/")
    assert number != "15"
    return f"{server}/15"


def taken(**sections: Any) -> None:
    """A sample was taken now: the example, with these sections instead of its own."""
    later = time.time() - AT
    found = {**copy.deepcopy(EXAMPLE), "at": AT + later, **copy.deepcopy(sections)}
    if isinstance(found["processes"], list):
        for each in found["processes"]:
            each["beaten_at"] += later
            if "processes" not in sections:
                each["version"] = version()
    if "retention" not in sections:
        found["retention"]["at"] += later
    for each in found["checks"] if "checks" not in sections else ():
        if each["unknown_since"] is not None:
            each["unknown_since"] += later
    sample.keep(found)
    points = [json.dumps({**each, "at": each["at"] + later}) for each in POINTS]
    client = sample.client(settings.REDIS_URL)
    client.delete(sample.POINTS)
    client.rpush(sample.POINTS, *points)


def well() -> dict[str, Any]:
    """The sections that have problems in the example, without them."""
    endpoints: dict[str, Any] = {"failing_endpoints": [], "disabled_endpoints": []}
    deliveries = {**EXAMPLE["deliveries"], **endpoints}
    return {"jobs": EXAMPLE["jobs"][:1], "deliveries": deliveries}
