"""Takes one sample: asks one engine after the other, and says of a section that fails why it does.

Called by the leader (sampling.py), in a web process: a request that comes meanwhile should not
notice. All at once their threads would share Python with it, and take all but an eighth.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg2
import redis
from django import db
from psycopg2.errors import QueryCanceled

from streaming import operations as streaming
from transactions import operations as transactions

from . import joining
from .facts import (
    broker_queues,
    checks,
    consumers,
    deliveries,
    engines,
    jobs,
    orders,
    performance,
    processes,
    rejects,
    requests,
    retention,
    rollup,
    worker_queues,
)
from .lanes import Lane, wait_for

logger = logging.getLogger(__name__)

Sample = dict[str, Any]
Facts = Callable[[Sample], Any]
# Above what the checks of engines take (READY_TIMEOUT_SECONDS), which are a lane too.
PATIENCE_SECONDS = 6.0
# So long an engine has the others wait. One that needs longer is asked beside them.
STEP_SECONDS = 0.5
# Between two questions, for requests that wait.
REST_SECONDS = 0.01
OF_CONSUMERS = ("ledger", "orders")

# By engine, in words: what is asked of it, one after the other. A section may have parts of several
# engines; its parts are lists.
LANES: Mapping[str, Sequence[tuple[str, Facts]]] = {
    "the engines": (("engines", engines.facts),),
    "PostgreSQL": (
        ("jobs", jobs.facts),
        ("deliveries", deliveries.facts),
        ("orders", orders.facts),
        ("rejects", rejects.of_database),
        ("checks", checks.facts),
    ),
    "Redis": (
        ("processes", processes.facts),
        ("queues", worker_queues.facts),
        ("consumers", consumers.facts),
        ("requests", requests.facts),
        ("retention", retention.facts),
    ),
    "RabbitMQ": (("queues", broker_queues.facts),),
    "the ledger's PostgreSQL": (("rollup", rollup.facts), ("rejects", rejects.of_ledger)),
    "the Redis of prices": (("performance", performance.facts), ("rejects", rejects.of_prices)),
}
IN_DATABASE = "PostgreSQL"


class Taker:
    """Takes samples, one at a time."""

    def __init__(self, lanes: Mapping[str, Sequence[tuple[str, Facts]]] = LANES) -> None:
        self._lanes = {
            name: (Lane(name, in_database=name == IN_DATABASE), asked)
            for name, asked in lanes.items()
        }
        self._failing: set[tuple[str, str]] = set()

    def take(self, before: Sample, points: Sequence[Mapping[str, Any]] = ()) -> Sample:
        """A sample, within PATIENCE_SECONDS; raises nothing for what engines do."""
        at, began = time.time(), time.perf_counter()
        deadline = time.monotonic() + PATIENCE_SECONDS
        turns = {}
        for name, (lane, asked) in self._lanes.items():
            turn = turns[name] = _Turn(asked, before)
            if lane.begin(turn.run):
                lane.wait(STEP_SECONDS)
            else:
                turn.refuse()
        wait_for((lane for lane, _ in self._lanes.values()), deadline - time.monotonic())
        parts: dict[str, list[Any]] = {}
        for name, turn in turns.items():
            for section, found in turn.outcome(name):
                self._note(name, section, found)
                parts.setdefault(section, []).append(_words(name, found))
        return joining.joined(
            {section: _whole(given) for section, given in parts.items()}
            | {"unread": _unread(parts)},
            before,
            points,
            at=at,
            cost_seconds=time.perf_counter() - began,
            queue_of={
                name: queue for name in OF_CONSUMERS if (queue := transactions.queue_of(name))
            },
            sales=streaming.rejects("sales", None),
        )

    def _note(self, lane: str, section: str, found: Any) -> None:
        """Log what fails once, and once that it goes again."""
        key = lane, section
        if not isinstance(found, Exception):
            if key in self._failing:
                self._failing.discard(key)
                logger.info("operations: %s of %s can be read again", section, lane)
            return
        if key not in self._failing:
            self._failing.add(key)
            ours = isinstance(found, EXPECTED)
            logger.warning(
                "operations: %s of %s can't be read: %s: %s",
                section,
                lane,
                type(found).__name__,
                str(found).strip(),
                exc_info=None if ours else found,
            )


class NoAnswer(Exception):
    """The call has not come back."""


EXPECTED = (redis.RedisError, db.Error, psycopg2.Error, OSError, NoAnswer)


class _Turn:
    """What one lane is asked for one sample."""

    def __init__(self, asked: Sequence[tuple[str, Facts]], before: Sample) -> None:
        self._asked, self._before = asked, before
        self._found: list[Any] = []
        self._refused = False

    def run(self) -> None:
        for _, facts in self._asked:
            try:
                self._found.append(facts(self._before))
            except Exception as error:
                self._found.append(error)
            time.sleep(REST_SECONDS)

    def refuse(self) -> None:
        """The one before has not come back."""
        self._refused = True

    def outcome(self, lane: str) -> list[tuple[str, Any]]:
        """By section what was found, or the error. What comes later is not seen."""
        found = [] if self._refused else list(self._found)
        missing = len(self._asked) - len(found)
        found += [NoAnswer(f"{lane} has not answered")] * missing
        return [(section, each) for (section, _), each in zip(self._asked, found, strict=True)]


def _words(lane: str, found: Any) -> Any:
    """What the page shows of it; an exception's own text names hosts and users."""
    if not isinstance(found, Exception):
        return found
    cause = found.__cause__ if isinstance(found, db.Error) else found
    if isinstance(cause, QueryCanceled):
        return {"error": f"{lane} needed more than a second"}
    if isinstance(found, EXPECTED):
        return {"error": f"{lane} does not answer"}
    return {"error": f"it could not be read ({type(found).__name__}): the log of web has more"}


def _whole(parts: list[Any]) -> Any:
    """The section of its parts; of several the ones that are there."""
    if len(parts) == 1:
        return parts[0]
    there = [part for part in parts if isinstance(part, list)]
    return [row for part in there for row in part] if there else parts[0]


def _unread(parts: Mapping[str, Sequence[Any]]) -> list[dict[str, str]]:
    """What is missing in sections that have other parts, and why."""
    return [
        {"section": section, "why": part["error"]}
        for section, given in parts.items()
        if any(isinstance(part, list) for part in given)
        for part in given
        if not isinstance(part, list)
    ]
