"""`make demo`: the supervisor of `make run`, with sample data and the generators' processes."""

import sys
import threading

from config.services.process import Process
from config.services.stack import PROJECT, Stack
from config.services.stack_error import StackError
from config.services.supervisor import Supervisor

NEEDS = {
    "receiver": "",
    "edits": "",
    "orders": "",
    "sales": "KAFKA_BOOTSTRAP_SERVERS",
    "prices": "KAFKA_BOOTSTRAP_SERVERS",
    "transactions": "AMQP_URL",
}
"""By generator: the variable of the engine that it writes to; "" where it needs none but
PostgreSQL and Valkey. Not asked of generators.py, which needs Django."""
STOP_SECONDS = 10.0
# A generator that has nothing to do yet is tried again, but not all the time.
BACKOFF_SECONDS = (2.0, 30.0)


class DemoSupervisor(Supervisor):
    """As `make run`; once web is up data are made, and each generator starts with its engine."""

    def _bring_up(self, stack: Stack) -> None:
        if stack.secure:
            raise StackError("SECURE is on: sample data are for a Stockroom of your own")
        self._seeded = threading.Event()
        self._joined: set[str] = set()
        super()._bring_up(stack)
        for engine, variable in (("kafka", "KAFKA_BOOTSTRAP_SERVERS"), ("rabbitmq", "AMQP_URL")):
            made = [name for name, needed in NEEDS.items() if needed == variable]
            if variable not in stack.environment:
                self._say(f"{engine} is missing: the demo goes on without {' and '.join(made)}")
            elif engine not in stack.engines:  # somebody else's
                self._start(stack, made)

    def _announce(self, stack: Stack, account: str) -> None:
        super()._announce(stack, account)
        # Beside the brokers, which take their time.
        self._thread(lambda: self._seed(stack))

    def _seed(self, stack: Stack) -> None:
        self._say("making sample data")
        for line in stack.manage("seed_demo").splitlines():
            self._say(f"sample {line}")
        self._seeded.set()
        self._start(stack, [name for name, needed in NEEDS.items() if not needed])
        self._say("the demo runs; `make demo-remove` takes its data away again")

    def _join_broker(self, stack: Stack, name: str) -> None:
        super()._join_broker(stack, name)
        engine = stack.engines[name]
        made = [each for each, needed in NEEDS.items() if needed in engine.provides]
        if engine.running:
            self._start(stack, made)
        elif not self._signals:
            self._say(f"the demo goes on without {' and '.join(made)}")

    def _start(self, stack: Stack, names: list[str]) -> None:
        """Start these generators once their data are there."""
        while not self._seeded.wait(0.2):
            if self._signals or self._failed is not None:
                return
        for name in names:
            process = Process(
                f"demo-{name}",
                [sys.executable, "manage.py", "run_demo", name],
                environment=stack.environment,
                directory=PROJECT,
                output=self._output,
                stop_seconds=STOP_SECONDS,
                backoff_seconds=BACKOFF_SECONDS,
            )
            stack.processes[process.name] = process
            stack.start_processes([process.name])
