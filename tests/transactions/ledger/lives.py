"""Intakes in processes of their own that are killed at a chosen step, on real RabbitMQ."""

import os
import signal
from collections.abc import Iterable
from typing import Any

import psycopg2

from tests.services.waiting import until
from transactions.ledger.engine import intake
from transactions.ledger.engine.intake import Held, Intake

# Looks at a queue that has nothing more for it, until it ends by itself.
QUIET_STEPS = 5
STEPS_OF_CHANNEL = {
    "queue_declare",
    "tx_select",
    "basic_qos",
    "basic_consume",
    "basic_get",
    "basic_ack",
    "tx_commit",
}


class Steps:
    """Counts what is asked of the engines; kills this process before or after one of them."""

    def __init__(self, kill_at: int | None) -> None:
        self.taken, self._kill_at = 0, kill_at

    def take(self) -> None:
        self.taken += 1
        if self.taken == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


class SteppedChannel:
    """pika's channel, with a step before and after each request."""

    def __init__(self, channel: Any, steps: Steps) -> None:
        self._channel, self._steps = channel, steps

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._channel, name)
        if name not in STEPS_OF_CHANNEL:
            return found

        def stepped(*args: Any, **options: Any) -> Any:
            self._steps.take()
            answer = found(*args, **options)
            self._steps.take()
            return answer

        return stepped


class SteppedDatabase:
    """psycopg2's connection, with a step before and after each commit."""

    def __init__(self, connection: Any, steps: Steps) -> None:
        self._connection, self._steps = connection, steps

    def cursor(self) -> Any:
        return self._connection.cursor()

    def __enter__(self) -> Any:
        return self._connection.__enter__()

    def __exit__(self, *error: Any) -> Any:
        self._steps.take()
        answer = self._connection.__exit__(*error)
        self._steps.take()
        return answer


class Lives:
    """One after the other they work off a queue into a database."""

    def __init__(self, amqp_url: str, queue: str, database_url: str, *, batch: int) -> None:
        self.batch = batch
        self._amqp_url, self._queue, self._database_url = amqp_url, queue, database_url

    def live(self, kill_at: int | None = None) -> bool:
        """One until nothing is left; False where it was killed."""
        child = os.fork()
        if child == 0:
            try:
                self._work(Steps(kill_at))
                os._exit(0)
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
        return not os.WIFSIGNALED(status)

    def live_through(self, kills_at: Iterable[int]) -> None:
        """Be killed at each of these, then live on to the end."""
        for kill_at in kills_at:
            self.live(kill_at)
        assert self.live()

    def _work(self, steps: Steps) -> None:
        intake.LINGER_SECONDS = intake.POLL_SECONDS = 0.01
        database = SteppedDatabase(psycopg2.connect(self._database_url), steps)
        connection, session = until(lambda: self._begun(database, steps), 60)
        quiet = 0
        while quiet < QUIET_STEPS:
            left = session.step() is not None or session.busy
            quiet = 0 if left else quiet + 1
        connection.close()

    def _begun(self, database: Any, steps: Steps) -> Any:
        connection = intake.connect(self._amqp_url)
        try:
            channel, _ = intake.declare(connection, self._queue)
            return connection, Intake(
                *(SteppedChannel(channel, steps), self._queue, database),
                connect=lambda: intake.connect(self._amqp_url),
                batch=self.batch,
            )
        except Held:
            connection.close()
            return None
