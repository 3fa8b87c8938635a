"""`python -m config.demo run` as `make demo` calls it, without brokers; then its removal."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from config.services.env_file import read
from tests.services.test_run import ENGINE_VARIABLES, PROJECT
from tests.services.waiting import until

SECONDS = 480.0
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


class Demo:
    """A running demo; what it says goes into a file."""

    def __init__(self, folder: Path) -> None:
        self._var_dir = folder / "var"
        self._said = folder / "said"
        environment = {k: v for k, v in os.environ.items() if k not in ENGINE_VARIABLES}
        self.environment = environment | {
            "STOCKROOM_VAR": str(self._var_dir),
            "STOCKROOM_ENGINES": "postgres,valkey",
            "WEB_CONCURRENCY": "1",
            "PRICES_PERFORMANCE_PROCESSES": "1",
            "VERIFIER_MIN_SECONDS": "0",
            "VERIFIER_MAX_SECONDS": "1",
        }
        with self._said.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "config.demo", "run"],
                cwd=PROJECT,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self._said.read_text(errors="replace")

    def says(self, text: str) -> None:
        """Wait until it has said so."""

        def look() -> bool:
            assert self.process.poll() is None, self.said
            return text in self.said

        try:
            until(look, SECONDS)
        except AssertionError:
            raise AssertionError(f"no {text!r} in\n{self.said[-20_000:]}") from None

    def counts(self, statement: str) -> Any:
        connection = psycopg2.connect(read(self._var_dir / "run.env")["DATABASE_URL"])
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchone()[0]
        finally:
            connection.close()

    def remove(self) -> str:
        """What `make demo-remove` says to a yes."""
        return subprocess.run(
            [sys.executable, "-m", "config.demo", "remove"],
            cwd=PROJECT,
            env=self.environment,
            input="yes\n",
            capture_output=True,
            text=True,
            check=True,
            timeout=SECONDS,
        ).stdout


@pytest.fixture
def demo(engine_folder: Path) -> Iterator[Demo]:
    made = Demo(engine_folder)
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
