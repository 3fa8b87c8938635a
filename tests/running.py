"""A whole running Stockroom for tests: own engines, real web, worker and beat.

`running_stockroom` is shared by the tests that only use it; those that break
things start their own with `start_stockroom`.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from config.services.stack import Stack

# Short enough that a test sees recovery, long enough for a busy machine.
SHORT_PERIODS = {
    "IMPORT_STALE_SECONDS": "3",
    "IMPORT_SWEEP_SECONDS": "1",
    "IMPORT_STEP_SECONDS": "1",
    "UPLOAD_BLOCK_BYTES": "65536",
    "IMPORT_PART_BYTES": "262144",
    "IMPORT_BATCH_LINES": "500",
    "ORDERS_SWEEP_SECONDS": "0.5",  # there is no RabbitMQ
    "VERIFIER_MIN_SECONDS": "15",  # a page is open before an order is decided
    "VERIFIER_MAX_SECONDS": "20",
    "PRICES_PERFORMANCE_PROCESSES": "1",  # by default eight, which take some time to start
    "API_REQUESTS_PER_MINUTE": "1000000",  # generated requests come faster than anybody's
}
# Ours for the run's own engines and tests, not for another Stockroom.
NOT_PASSED_ON = {
    "DATABASE_URL",
    "REDIS_URL",
    "PRICES_REDIS_URL",
    "KEYDB_URL",
    "KAFKA_BOOTSTRAP_SERVERS",
    "AMQP_URL",
    "STOCKROOM_VAR",
    "PORT",
}


class Running:
    """A started Stack with the demo account's password and token."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.address = stack.address
        stack.manage("ensure_demo")
        demo = json.loads((stack.var_dir / "demo.txt").read_text())
        self.user, self.password, self.token = "demo", demo["password"], demo["token"]


@contextmanager
def start_stockroom(**environment: str) -> Iterator[Running]:
    """Engines, migrations, web, worker and beat in a folder of their own; stopped at the end."""
    given: Mapping[str, str] = {k: v for k, v in os.environ.items() if k not in NOT_PASSED_ON}
    with tempfile.TemporaryDirectory(prefix="stockroom-run-", ignore_cleanup_errors=True) as folder:
        with Stack(
            Path(folder) / "var",
            {**given, **SHORT_PERIODS, **environment},
            engines=["postgres", "valkey"],
            port=0,
        ) as stack:
            stack.start()
            yield Running(stack)


@pytest.fixture(scope="session")
def running_stockroom() -> Iterator[Running]:
    with start_stockroom() as running:
        yield running
