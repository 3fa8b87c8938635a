"""What the tests of faults do to the engines, and how they look at what comes of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pika.exceptions

from config.consumers.health import consumer_health
from config.services.engine import Engine
from config.services.spawn import run
from tests.consumers.processes import Process
from tests.services.waiting import until
from tests.transactions.ledger import oracle
from tests.transactions.ledger.stage import LedgerStage, body

SAMPLE = len(oracle.SAMPLE_TRANSACTIONS)
# Debian's /usr/sbin/rabbitmqctl changes to its own user and folder; this is the program.
DEBIAN_CONTROL = Path("/usr/lib/rabbitmq/bin/rabbitmqctl")
CONTROL_SECONDS = 60.0
# RabbitMQ's default, of the machine's memory.
MEMORY = "0.4"


def control(broker: Engine, *command: str) -> str:
    """What the broker's own command line says."""
    program = str(DEBIAN_CONTROL) if DEBIAN_CONTROL.exists() else "rabbitmqctl"
    code, output, errors = run(
        [program, *command],
        environment=broker._environment(),
        directory=broker.data_dir,
        timeout_seconds=CONTROL_SECONDS,
    )
    assert code == 0, f"{output}{errors}"
    return output


@contextmanager
def memory_alarm(broker: Engine) -> Iterator[None]:
    """Within the block the broker stops everyone who publishes."""
    control(broker, "set_vm_memory_high_watermark", "0")
    try:
        yield
    finally:
        control(broker, "set_vm_memory_high_watermark", MEMORY)


def sent_bodies(count: int, start: int = 0) -> list[bytes]:
    """All different, so that a lost one can't be hidden by one that came twice."""
    return [body(1 + n % 2, n) for n in range(start, start + count)]


def rows(stage: LedgerStage) -> int:
    return int(stage.query("SELECT count(*) FROM historical_transactions")[0][0])


def amounts(stage: LedgerStage) -> list[int]:
    """Of all rows but the specification's, sorted."""
    return sorted(int(value) for _, value in stage.transactions()[SAMPLE:])


def assert_each_once(stage: LedgerStage, count: int) -> None:
    """Those of `sent_bodies(count)`."""
    assert amounts(stage) == list(range(count)), stage.logs()


def send_in_spite_of_restarts(
    stage: LedgerStage, bodies: Sequence[bytes], ids: Sequence[str]
) -> None:
    """Messages with ids are sent again until the broker has confirmed them."""

    def sent(portion: slice) -> bool:
        try:
            stage.queue.send(*bodies[portion], ids=ids[portion])
        except (pika.exceptions.AMQPError, OSError):
            stage.queue.close()
            return False
        return True

    for at in range(0, len(bodies), 50):
        until(lambda: sent(slice(at, at + 50)), 60)  # noqa: B023


def health(process: Process) -> dict[str, Any]:
    """What its consumer says of itself; {} before it has."""
    found = [each["health"] for each in consumer_health() if each["pid"] == process.child.pid]
    return dict(found[0] or {}) if found else {}


def wait_for_health(process: Process, words: str | None) -> None:
    """Until it waits for something with these words; None: for nothing."""

    def said() -> bool:
        found = health(process)
        if words is None:
            return bool(found) and found["waiting_for"] is None and found["leads"]
        return words in (found.get("waiting_for") or "")

    try:
        until(said, 60)
    except AssertionError:
        raise AssertionError(f"{words!r} not in {health(process)}\n{process.log}") from None


def leaders(stage: LedgerStage) -> list[int]:
    """Process ids that say they lead."""
    pids = {process.child.pid for process in stage.instances}
    return [
        each["pid"]
        for each in consumer_health()
        if each["pid"] in pids and (each["health"] or {}).get("leads")
    ]
