"""pytest plugin: several processes share a run's tests, each with its own engines and database.

Loaded by `-p tests.parallel` (pyproject.toml), on top of pytest-xdist. The tests of a file stay
together, and so do files that share what takes long to start. A few tests alone run in one
process: `processes` decides.
"""

import argparse
import os
from collections.abc import Generator

import psutil
import pytest
from xdist.scheduler import LoadFileScheduling, LoadScopeScheduling

# More processes than processors: tests wait for engines, for browsers and for each other.
MORE_THAN_PROCESSORS = 1
MOST = 6  # each needs about 1 GB

# What takes longest comes first, so that no process is left with it alone at the end. A file
# that is missing here costs time only.
FIRST = (
    "tests/rolling/test_rolling.py",
    "tests/streaming/sales/test_sales_on_kafka.py",
    "tests/streaming/prices/test_prices_on_kafka.py",
    "tests/products/imports/test_faults.py",
    "tests/services/test_engines.py",
    "tests/streaming/prices/test_performance_tasks.py",
    "tests/docs/test_commands.py",
    "tests/products/imports/test_import_page.py",
    "tests/products/catalogue/test_bulk_faults.py",
    "tests/stocksync/jobs/test_faults.py",
    "tests/consumers/test_worker.py",
    "tests/stocksync/engine/test_parallel.py",
    "tests/stocksync/engine/test_histories.py",
    "tests/consumers/test_celery.py",
    "tests/products/catalogue/test_product_panel.py",
    "tests/products/catalogue/test_catalogue_page.py",
    "tests/webhooks/endpoints_pages/test_endpoint_browser.py",
    "tests/webhooks/deliveries_pages/test_deliveries_in_browser.py",
)
# Kafka alone, which is started once for each of these lists.
WITH_SALES = (
    "tests/docs/test_kafka_commands.py",
    "tests/streaming/kafka_log/test_codecs.py",
    "tests/streaming/kafka_log/test_incarnation.py",
    "tests/streaming/kafka_log/test_membership.py",
    "tests/streaming/kafka_log/test_reader.py",
    "tests/streaming/kafka_log/test_transactions.py",
    "tests/streaming/kafka_log/test_traps.py",
    "tests/streaming/pages/test_dead_letters_page.py",
    "tests/streaming/pages/test_real_sales.py",
    "tests/streaming/sales/test_generator.py",
    "tests/streaming/sales/test_loop.py",
    "tests/streaming/sales/test_rekey.py",
    "tests/streaming/sales/test_sales_chaos.py",
    "tests/streaming/sales/test_sales_retail.py",
    "tests/streaming/sales/test_verify.py",
)
WITH_PRICES = (
    "tests/streaming/prices/test_both_ways.py",
    "tests/streaming/prices/test_prices_chaos.py",
    "tests/streaming/prices/test_prices_loop.py",
    "tests/streaming/prices/test_prices_topic.py",
    "tests/streaming/prices/test_publish_prices.py",
    "tests/streaming/prices/test_seek_prices.py",
)
# RabbitMQ.
WITH_LEDGER = (
    "tests/docs/test_rabbitmq_commands.py",
    "tests/transactions/api/test_ledger_api.py",
    "tests/transactions/ledger/test_crashes.py",
    "tests/transactions/ledger/test_faults.py",
    "tests/transactions/ledger/test_ledger_on_rabbitmq.py",
    "tests/transactions/ledger/test_reconciling.py",
    "tests/transactions/ledger/test_store_faults.py",
    "tests/transactions/orders/test_orders_on_rabbitmq.py",
)
# Files beside those of FIRST that use the same.
TOGETHER = {
    **dict.fromkeys(WITH_SALES, "tests/streaming/sales/test_sales_on_kafka.py"),
    **dict.fromkeys(WITH_PRICES, "tests/streaming/prices/test_prices_on_kafka.py"),
    **dict.fromkeys(WITH_LEDGER, "tests/transactions/ledger/test_generating.py"),
    # Kafka and RabbitMQ
    "tests/web/test_health.py": "tests/services/test_engines.py",
    "tests/operations/test_facts_queues.py": "tests/transactions/ledger/test_generating.py",
    "tests/security/test_bombs.py": "tests/security/test_behind_a_proxy.py",
    # `running_stockroom`
    "tests/web/test_schemathesis.py": "tests/products/imports/test_import_page.py",
    "tests/products/imports/test_tuspy.py": "tests/products/imports/test_import_page.py",
    "tests/stocksync/api/test_over_http.py": "tests/products/imports/test_import_page.py",
    "tests/stocksync/pages/test_live_job.py": "tests/products/imports/test_import_page.py",
    "tests/products/catalogue/test_bulk_job_page.py": "tests/products/imports/test_import_page.py",
    "tests/transactions/pages/test_live_ledger.py": "tests/products/imports/test_import_page.py",
}


def processes(options: argparse.Namespace) -> int:
    """How many processes run the tests beside this one; 0: this one does."""
    wanted = getattr(options, "numprocesses", None)
    if "PYTEST_XDIST_WORKER" in os.environ or options.collectonly or wanted is None:
        return 0
    if wanted not in ("auto", "logical"):
        return int(wanted)
    a_few = options.keyword or any(".py" in name for name in options.file_or_dir)
    if a_few or options.usepdb:
        return 0
    return min((psutil.cpu_count() or 1) + MORE_THAN_PROCESSORS, MOST)


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    return processes(config.known_args_namespace)


def group(nodeid: str) -> str:
    """The file with whose tests this one runs in the same process."""
    file = nodeid.partition("::")[0]
    return TOGETHER.get(file, file)


def _rank(item: pytest.Item) -> int:
    name = group(item.nodeid)
    return FIRST.index(name) if name in FIRST else len(FIRST)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, None, None]:
    result = yield
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=_rank)
    return result


class Scheduling(LoadFileScheduling):
    """Hands out groups of files, in the order in which the tests were collected.

    The mark `xdist_group` would do, but pytest 9.2 passes over how xdist 3.8 puts it into names.
    """

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling | None:
    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None
