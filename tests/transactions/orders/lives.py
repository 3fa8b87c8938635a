"""Workers in processes of their own that are killed or frozen at a chosen step, on real engines.

A step is before and after each statement and commit in Postgres, and each round trip to Redis.
"""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import redis
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from redis.client import Pipeline

from transactions.orders.engine import claims
from transactions.orders.engine.claims import Claimed, Worker
from transactions.orders.engine.decider import decide
from transactions.orders.engine.held import Held
from transactions.orders.engine.settling import Settling
from transactions.orders.verification import Outcome

REFUSED = "user3"  # whom the verification refuses
TRIES = 100


class Steps:
    """Counts them; sends this process a signal before one of them."""

    def __init__(self, at: int | None, number: signal.Signals) -> None:
        self.taken, self._at, self._signal = 0, at, number

    def take(self) -> None:
        self.taken += 1
        if self.taken == self._at:
            os.kill(os.getpid(), self._signal)

    def around(self, act: Callable[..., Any]) -> Callable[..., Any]:
        """`act` with a step before and after it."""

        def stepped(*args: Any, **options: Any) -> Any:
            self.take()
            answer = act(*args, **options)
            self.take()
            return answer

        return stepped


class Life:
    """A worker in a process of its own, begun at once."""

    def __init__(
        self, redis_url: str, at: int | None = None, number: signal.Signals = signal.SIGKILL
    ) -> None:
        self.pid = os.fork()
        if self.pid == 0:
            try:
                _work(redis_url, Steps(at, number))
                os._exit(0)
            finally:
                os._exit(1)

    def ended(self) -> bool:
        """Wait for its end; False where it was killed."""
        _, status = os.waitpid(self.pid, 0)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
        return not os.WIFSIGNALED(status)

    def frozen(self) -> bool:
        """Wait until it has frozen itself; False where it came to its end."""
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            return True
        assert os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0
        return False

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


def _work(redis_url: str, steps: Steps) -> None:
    """Claim all there is, verify it at once, decide it, until nothing is left."""
    connection.connection = None  # the parent's
    connection.ensure_connection()
    client = redis.Redis.from_url(redis_url)
    settling = Settling(client)
    BaseDatabaseWrapper.commit = steps.around(BaseDatabaseWrapper.commit)  # type: ignore[method-assign]
    BaseDatabaseWrapper._commit = steps.around(BaseDatabaseWrapper._commit)
    Pipeline.execute = steps.around(Pipeline.execute)  # type: ignore[method-assign]

    def wrapper(execute: Any, *args: Any) -> Any:
        return steps.around(execute)(*args)

    with connection.execute_wrapper(wrapper):
        worker = Worker()
        for _ in range(TRIES):
            worker.beat()
            batch = [_verified(order) for order in worker.take(100)]
            while batch:
                again = decide(settling, batch).again
                batch = [held for held in batch if held.order.order_id in again]
            if not claims.still_open(_all_orders()):
                return


def _verified(order: Claimed) -> Held:
    refused = order.user == REFUSED and not order.verified
    outcome = Outcome(False, "verification_refused", "No.") if refused else Outcome(True)
    return Held(order, outcome=outcome, ended_at=time.monotonic())


def _all_orders() -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT order_id FROM transactions_order")
        return [row[0] for row in cursor.fetchall()]
