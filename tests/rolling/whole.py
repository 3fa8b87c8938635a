"""A whole running Stockroom to be rolled out anew: all engines, every role, most of them twice.

Used by test_rolling.py and the soak.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import redis

from config.services.stack import Stack
from tests.products.imports.stack import KEPT, RunningStockroom
from tests.services.waiting import until
from tests.streaming.sales.kafka_stage import KafkaStage
from tests.transactions.ledger.stage import Queue

ONCE = ("web", "worker", "deliveries", "sales", "ledger", "orders", "prices", "performance", "beat")
# What the load meets. Web has two processes of its own.
TWICE = ("worker", "deliveries", "sales", "ledger", "orders")
START_SECONDS = 240.0
# A process that is killed is missed for seconds, not for a minute.
VARIABLES = {
    "API_REQUESTS_PER_MINUTE": "1000000",
    "IMPORT_STALE_SECONDS": "5",
    "IMPORT_SWEEP_SECONDS": "1",
    "IMPORT_STEP_SECONDS": "1",
    "IMPORT_BATCH_LINES": "500",
    "UPLOAD_BLOCK_BYTES": "65536",
    "IMPORT_PART_BYTES": "262144",
    # What a killed one takes along is delivered after its lease.
    "WEBHOOK_LEASE_SECONDS": "16",
    "WEBHOOK_TIMEOUT_SECONDS": "5",
    "WEBHOOK_RETRY_SECONDS": ",".join(["1", "2"] + ["5"] * 40),
    "WEBHOOK_BREAK_SECONDS": "2",
    "SALES_SESSION_TIMEOUT_MS": "6000",
    "SALES_PARTITIONS": "4",
    "ORDERS_SWEEP_SECONDS": "1",
    "VERIFIER_MIN_SECONDS": "0.2",
    "VERIFIER_MAX_SECONDS": "3",
    "PRICES_PERFORMANCE_PROCESSES": "1",
}


class WholeStockroom(RunningStockroom):
    """With Kafka and RabbitMQ, and clients of each engine beside it."""

    def __init__(self, folder: Path, more_roles: Sequence[str] = TWICE) -> None:
        """Nothing runs before `start`. `more_roles` beside one of each."""
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        self.stack = Stack(
            folder,
            {**environment, **VARIABLES},
            roles=(*ONCE, *more_roles),
            port=0,
        )
        for process in self.stack.processes.values():
            # Whether one ends by itself is asked, not whether a busy machine lets it in time.
            process._stop_seconds *= 4
        self._database = None
        self._headers = {}
        variables = self.stack.environment
        self.market = redis.Redis.from_url(variables["PRICES_REDIS_URL"])
        self.queue = Queue(variables["AMQP_URL"], "incoming_transactions")
        self.sales = KafkaStage(variables["KAFKA_BOOTSTRAP_SERVERS"], folder)
        # The stage's names are those of a test; these are the settings' own.
        self.sales.input, self.sales.output = "data", "agg"
        self.sales.dead_letters, self.sales.group = "data.dlq", "sales"

    def start(self) -> None:
        """All of it; topics and the ledger's tables are there on return.

        Static files are not collected: nobody looks at a page.
        """
        self.stack.start_engines()
        self.stack.manage("migrate", "--noinput", "-v", "0")
        account = self.stack.manage("ensure_demo")
        found = re.search(r"API token\s+(\S+)", account)
        assert found is not None, account
        self._headers = {"Authorization": f"Bearer {found[1]}"}
        # Web alone first: the others take all processors for a while.
        self.stack.start_processes(["web.1"])
        self.stack.manage("seed_ledger")
        self.sales.create(4)
        self.queue.declare()
        self.stack.wait_ready(START_SECONDS)
        self.stack.start_processes([name for name in self.stack.processes if name != "web.1"])
        # One that is asked to end while it is starting ends at once: that is no roll-out.
        until(self._is_at_work, START_SECONDS)

    def _is_at_work(self) -> bool:
        workers = [name for name in self.stack.processes if name not in ("web.1", "beat.1")]
        return all(" ready." in self.said(name) for name in workers)

    def close(self) -> None:
        self.queue.close()
        self.market.close()
        super().close()


@contextmanager
def whole_stockroom(more_roles: Sequence[str] = TWICE) -> Iterator[WholeStockroom]:
    """One that has been started."""
    # Not in pytest's folder, which other runs close to PostgreSQL's system user.
    with TemporaryDirectory(prefix="stockroom-rolling-") as folder:
        stockroom = WholeStockroom(Path(folder) / "var", more_roles)
        try:
            stockroom.start()
            yield stockroom
        finally:
            stockroom.close()
