"""Requests generated from the schema at a running Stockroom: no 5xx, no undocumented answer.

In a process of its own: as a plugin of pytest schemathesis would run its checks in ours.
"""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest
import redis
import requests

from stocksync.api_examples import EVENTS
from streaming.prices.rows import Row
from streaming.prices.store import Batch, Moved, Refused, Store
from tests.running import Running
from tests.services.waiting import until
from tests.transactions.bookkeeping import MINUTE, Ledger

HERE = Path(__file__).parent
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "ignored_auth",
)
SEED = 20
PRODUCTS = 20


def add_products(stockroom: Running) -> list[int]:
    """Ids of products that can be changed and deleted."""
    headers = {"Authorization": f"Bearer {stockroom.token}"}
    return [
        requests.post(
            f"{stockroom.address}/api/products/",
            json={"sku": f"generated-{uuid4()}", "name": "Lamp"},
            headers=headers,
            timeout=60,
        ).json()["id"]
        for _ in range(PRODUCTS)
    ]


def add_endpoint(stockroom: Running) -> None:
    """A webhook endpoint where nobody answers: from then on there are deliveries."""
    requests.post(
        f"{stockroom.address}/api/webhooks/endpoints/",
        json={"url": "http://127.0.0.1:9/", "event_types": ["*"]},
        headers={"Authorization": f"Bearer {stockroom.token}"},
        timeout=60,
    ).raise_for_status()


def add_syncs(stockroom: Running) -> None:
    """Stock sync jobs of all kinds, soon ended: there are results from then on."""
    for file in (EVENTS, "no event\n", "// nothing\n"):
        requests.post(
            f"{stockroom.address}/api/stocksync/jobs/",
            files={"file": ("events.txt", file)},
            headers={"Authorization": f"Bearer {stockroom.token}"},
            timeout=60,
        ).raise_for_status()


def add_prices(stockroom: Running) -> None:
    """A share with a history, and a dead letter."""
    with redis.Redis.from_url(stockroom.stack.environment["PRICES_REDIS_URL"]) as client:
        rows = [
            (number, Row("stock1", at, price), b"")
            for number, (at, price) in enumerate((("090006", "1734"), ("090007", "")))
        ]
        letter = Refused(2, "not_json", "no JSON", b"nothing")
        with suppress(Moved):  # done by another test
            Store(client).apply(Batch("generated", None, "3", rows, [letter]))


def add_ledger(stockroom: Running) -> None:
    """The sample's tables, read by its consumer; a minute that was written, and a reject."""
    stockroom.stack.manage("seed_ledger")

    def is_ready() -> bool:
        headers = {"Authorization": f"Bearer {stockroom.token}"}
        return requests.get(f"{stockroom.address}/api/ledger/", headers=headers, timeout=60).ok

    until(is_ready)
    ledger = Ledger(stockroom.stack.environment["DATABASE_URL"])
    try:
        if ledger.execute("SELECT FROM stockroom_ledger.rejects LIMIT 1") is None:
            ledger.minute(ledger.last - 5 * MINUTE, {"1_Visa": 1300, "2_Mastercard": 1800})
            ledger.reject(b"no JSON", message_id="generated")
    finally:
        ledger.close()


def add_order(stockroom: Running) -> str:
    """The id of an order; the users of generated ones have credit. `add_prices` comes first."""
    with redis.Redis.from_url(stockroom.stack.environment["PRICES_REDIS_URL"]) as client:
        for number in (1, 2):
            client.set(f"user{number}", f'{{"id": {number}, "credit": 1000000.5}}')
    placed = requests.post(
        f"{stockroom.address}/api/BuyStock",
        json={"user": "user2", "stockname": "stock1", "quantity": 1},
        headers={"Authorization": f"Bearer {stockroom.token}"},
        timeout=60,
    )
    placed.raise_for_status()
    return str(placed.json()["order_id"])


def add_upload(stockroom: Running) -> str:
    """The id of an upload that waits for its bytes."""
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "1000"}
    created = requests.post(
        f"{stockroom.address}/api/uploads/",
        headers={**headers, "Authorization": f"Bearer {stockroom.token}"},
        timeout=60,
    )
    return created.headers["Location"].rstrip("/").rsplit("/", 1)[1]


def attack(stockroom: Running, folder: Path, *options: str) -> None:
    """Run schemathesis over all operations; fails with its report."""
    add_endpoint(stockroom)
    add_syncs(stockroom)
    add_prices(stockroom)
    add_ledger(stockroom)
    done = subprocess.run(
        [
            SCHEMATHESIS,
            f"--config-file={HERE / 'schemathesis.toml'}",
            "--no-color",
            "run",
            f"{stockroom.address}/api/schema/?format=json",
            f"--url={stockroom.address}",
            f"--header=Authorization: Bearer {stockroom.token}",
            f"--checks={','.join(CHECKS)}",
            f"--seed={SEED}",
            # A stream goes on for ever: tests/web/test_streams.py opens it.
            "--exclude-path=/events/{channel}/",
            "--suppress-health-check=all",
            "--generation-database=none",
            "--request-timeout=60",
            "--continue-on-failure",
            "--output-truncate=false",
            *options,
        ],
        cwd=folder,
        env={
            **os.environ,
            "NO_COLOR": "1",
            "COLUMNS": "160",
            "PYTHONPATH": str(HERE),
            "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
            "STOCKROOM_UPLOAD": add_upload(stockroom),
            "STOCKROOM_ORDER": add_order(stockroom),
            "STOCKROOM_PRODUCTS": ",".join(map(str, add_products(stockroom))),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-40_000:]}\n{done.stderr[-4_000:]}"


def test_generated_requests_get_documented_answers(
    running_stockroom: Running, tmp_path: Path
) -> None:
    attack(
        running_stockroom,
        tmp_path,
        "--phases=examples,coverage,fuzzing",
        "--max-examples=8",
        "--max-time=50",
        "--no-shrink",
    )


@pytest.mark.soak
def test_many_generated_requests_get_documented_answers(
    running_stockroom: Running, tmp_path: Path
) -> None:
    attack(
        running_stockroom,
        tmp_path,
        "--phases=examples,coverage,fuzzing,stateful",
        "--max-examples=300",
        "--max-time=240",
    )
