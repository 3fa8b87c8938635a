"""`python -m config.demo run` as `make demo` calls it, without brokers; then its removal."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo.started import SECONDS, Demo
from tests.services.test_run import ENGINE_VARIABLES, PROJECT
from tests.services.waiting import until

SUCCEEDED = "SELECT count(*) FROM webhooks_attempt WHERE state = 'succeeded'"
ORDERS = "SELECT count(*) FROM transactions_order WHERE \"user\" LIKE 'user%.demo'"
PRODUCTS = "SELECT count(*) FROM products_product"


def test_it_is_for_plain_http_only(tmp_path) -> None:
    given = {k: v for k, v in os.environ.items() if k not in ENGINE_VARIABLES}
    done = subprocess.run(
        [sys.executable, "-m", "config.demo", "run"],
        cwd=PROJECT,
        env=given | {"STOCKROOM_VAR": str(tmp_path), "SECURE": "1"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 1
    assert "SECURE is on" in done.stdout
    assert not (tmp_path / "postgres").exists()


@pytest.fixture
def demo(engine_folder: Path) -> Iterator[Demo]:
    made = Demo(engine_folder, "postgres,valkey")
    yield made
    if made.process.poll() is None:
        made.process.kill()
        made.process.wait()


def test_it_makes_data_goes_on_and_takes_them_away(demo: Demo) -> None:
    demo.says("the demo runs")
    demo.says("kafka is missing: the demo goes on without sales and prices")
    demo.says("rabbitmq is missing: the demo goes on without transactions")
    assert demo.counts(PRODUCTS) == 3_000
    until(lambda: demo.counts(ORDERS), SECONDS)
    until(lambda: demo.counts(SUCCEEDED), SECONDS)
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(180) == 0, demo.said
    assert "products: 3,000 deleted" in demo.remove()
