"""A whole Stockroom that writes JSON: what its lines hold, and what they must not."""

import json
import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from config.services.stack import Stack
from tests.running import NOT_PASSED_ON, SHORT_PERIODS, Running
from tests.services.waiting import until
from tests.webhooks.receiver import Receiver

PROCESSES = (
    *("web.1", "worker.1", "deliveries.1", "beat.1", "orders.1"),
    *("sales.1", "prices.1", "ledger.1", "performance.1"),
)
# Nobody answers there: clients say what they could not reach.
BROKERS_PASSWORD = "brokers-" + secrets.token_hex(16)
BROKERS = {
    "AMQP_URL": f"amqp://stockroom:{BROKERS_PASSWORD}@127.0.0.1:1/",
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    "KAFKA_SASL_USERNAME": "stockroom",
    "KAFKA_SASL_PASSWORD": BROKERS_PASSWORD,
}
METRICS_TOKEN = "metrics-" + secrets.token_hex(16)
VERIFIER_TOKEN = "verifier-" + secrets.token_hex(16)
SECONDS = 240.0
PRODUCT_NAME = "Lamp " + secrets.token_hex(16)
REQUEST = "abc:1"
OF_IMPORT = "import-7"
SEED = """SET user1 '{"id": 1, "credit": 150000000}'
SET stock1 '{"id": 1, "time": ["090000"], "price": [100], "performance": 0}'
"""


class Logs:
    """What the processes of a Stockroom have written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def text(self) -> str:
        """All of it, engines' and earlier files included."""
        return "\n".join(
            path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log*"))
        )

    def lines(self, name: str) -> list[dict[str, Any]]:
        """Those of a process; each must be JSON."""
        path = self.folder / f"{name}.log"
        return [json.loads(line) for line in path.read_text().splitlines() if line]

    def of_request(self, name: str, logger: str, request: str) -> list[dict[str, Any]]:
        return [
            line
            for line in self.lines(name)
            if line.get("request_id") == request and line["logger"] == logger
        ]


@pytest.fixture(scope="module")
def stockroom() -> Iterator[Running]:
    given = {name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON}
    variables = {
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "DEBUG",
        "METRICS_TOKEN": METRICS_TOKEN,
        "VERIFIER_TOKEN": VERIFIER_TOKEN,
        "VERIFIER_MIN_SECONDS": "0",
        "VERIFIER_MAX_SECONDS": "0",
        "WEB_CONCURRENCY": "1",
        "CONSUMER_HEALTH_SECONDS": "1",
        "OPERATIONS_SAMPLE_SECONDS": "1",
        **BROKERS,
    }
    with tempfile.TemporaryDirectory(prefix="stockroom-logs-", ignore_cleanup_errors=True) as home:
        with Stack(
            Path(home) / "var",
            {**given, **SHORT_PERIODS, **variables},
            roles=[name.partition(".")[0] for name in PROCESSES],
            engines=["postgres", "valkey"],
            port=0,
        ) as stack:
            stack.start_engines()
            stack.prepare()
            stack.start_processes()
            stack.wait_ready(SECONDS)
            yield Running(stack)


@pytest.fixture(scope="module")
def logs(stockroom: Running) -> Logs:
    return Logs(stockroom.stack.var_dir / "log")


@pytest.fixture(scope="module")
def api(stockroom: Running) -> requests.Session:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {stockroom.token}"
    return session


def new_endpoint(stockroom: Running, api: requests.Session, url: str) -> dict[str, Any]:
    answer = api.post(
        f"{stockroom.address}/api/webhooks/endpoints/",
        json={"url": url, "event_types": ["*"], "headers": {"X-Key": secrets.token_hex(16)}},
        timeout=60,
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


def new_product(stockroom: Running, api: requests.Session, request: str = "") -> None:
    answer = api.post(
        f"{stockroom.address}/api/products/",
        json={"sku": secrets.token_hex(8), "name": PRODUCT_NAME},
        headers={"X-Request-ID": request} if request else {},
        timeout=60,
    )
    assert answer.status_code == 201, answer.text


def test_a_requests_id_reaches_the_receiver_of_its_event(stockroom, api, logs) -> None:
    with Receiver() as receiver:
        new_endpoint(stockroom, api, receiver.address("/hook"))
        new_product(stockroom, api, REQUEST)
        (delivery,) = receiver.wait(1)
        assert delivery.headers["x-request-id"] == REQUEST
    (line,) = until(lambda: logs.of_request("web.1", "config.request_log", REQUEST))
    assert line["message"].startswith("POST /api/products/ 201 ")
    assert line["role"] == "web"
    (line,) = until(lambda: logs.of_request("deliveries.1", "webhooks.engine.deliverer", REQUEST))
    assert line["message"].startswith("delivery ") and line["role"] == "deliveries"


def test_an_imports_lines_have_the_id_of_its_request(stockroom, api, logs) -> None:
    answer = api.post(
        f"{stockroom.address}/api/imports/",
        files={"file": ("products.csv", b"name,sku,description\nLamp,imported-1,Bright\n")},
        headers={"X-Request-ID": OF_IMPORT},
        timeout=60,
    )
    assert answer.status_code == 202, answer.text
    found = until(
        lambda: [
            line
            for line in logs.of_request("worker.1", "products.imports.pipeline", OF_IMPORT)
            if line.get("task") == "products.tasks.advance_import" and "done" in line["message"]
        ]
    )
    assert found[0]["task_id"] and found[0]["role"] == "worker"


def test_its_requests_are_counted(stockroom) -> None:
    def counted() -> bool:
        answer = requests.get(
            f"{stockroom.address}/metrics",
            headers={"Authorization": f"Bearer {METRICS_TOKEN}"},
            timeout=60,
        )
        assert answer.status_code == 200
        figures = re.findall(
            r'^stockroom_http_requests_total\{kind="api",status="2xx"\} (\S+)', answer.text, re.M
        )
        taken = re.search(r"^stockroom_sample_up 1\.0$", answer.text, re.M)
        return bool(figures and float(figures[0]) >= 2 and taken)

    until(counted)


def test_every_process_writes_json_also_about_what_goes_wrong(stockroom, logs) -> None:
    for name in PROCESSES:
        roles = {name.partition(".")[0], "supervisor"}
        until(lambda name=name, roles=roles: {each["role"] for each in logs.lines(name)} == roles)
    # gunicorn's own
    assert "gunicorn.error" in {line["logger"] for line in logs.lines("web.1")}


def test_no_secret_gets_into_logs(stockroom, api, logs) -> None:
    typed, key = "Typed-" + secrets.token_hex(8), "key-" + secrets.token_hex(16)
    wrong_token = "stk_" + secrets.token_hex(20)
    environment = stockroom.stack.environment
    hidden = {
        "a typed password": typed,
        "the password": stockroom.password,
        "an API token": stockroom.token,
        "a wrong token": wrong_token,
        "the key of a callback": key,
        "METRICS_TOKEN": METRICS_TOKEN,
        "VERIFIER_TOKEN": VERIFIER_TOKEN,
        "the password of brokers": BROKERS_PASSWORD,
        "the body of a request": PRODUCT_NAME,
        **{
            name: str(urlsplit(environment[name]).password)
            for name in ("DATABASE_URL", "REDIS_URL", "PRICES_REDIS_URL", "KEYDB_URL")
        },
        "SECRET_KEY": environment["SECRET_KEY"],
    }

    with requests.Session() as browser, Receiver() as receiver:
        page = f"{stockroom.address}/login/"
        for password in (typed, stockroom.password):
            browser.get(page, timeout=60)
            form = {"username": stockroom.user, "password": password}
            form["csrfmiddlewaretoken"] = browser.cookies["csrftoken"]
            answer = browser.post(page, data=form, headers={"Referer": page}, timeout=60)
            assert answer.status_code == 200
        hidden["a session"] = browser.cookies["sessionid"]
        hidden["a CSRF token"] = browser.cookies["csrftoken"]
        form = {
            "csrfmiddlewaretoken": browser.cookies["csrftoken"],
            "name": "shop",
            "scopes": ["catalogue:read"],
        }
        answer = browser.post(
            f"{stockroom.address}/account/tokens/", data=form, headers={"Referer": page}, timeout=60
        )
        (hidden["a new token"],) = set(re.findall(r"stk_[A-Za-z0-9]{40}", answer.text))

        bearer = {"Authorization": f"Bearer {wrong_token}"}
        for path in ("/api/products/", "/metrics"):
            answer = requests.get(f"{stockroom.address}{path}", headers=bearer, timeout=60)
            assert answer.status_code == 401
        answer = requests.get(f"{stockroom.address}/?token={key}", timeout=60)

        made = new_endpoint(stockroom, api, receiver.address(f"/hook?key={key}"))
        hidden["a webhook's secret"] = made["secret"].removeprefix("whsec_")
        new_product(stockroom, api)
        receiver.wait(1)
        assert "x-key" in receiver.requests[0].headers
        hidden["a custom header"] = receiver.requests[0].headers["x-key"]

        seed = stockroom.stack.var_dir / "redis_data.txt"
        seed.write_text(SEED)
        stockroom.stack.manage("seed_redis", str(seed))
        answer = api.post(
            f"{stockroom.address}/api/BuyStock",
            json={
                "user": "user1",
                "stockname": "stock1",
                "quantity": 1,
                "callback_url": receiver.address(f"/order?key={key}"),
            },
            headers={"X-Request-ID": "order-1"},
            timeout=60,
        )
        assert answer.status_code == 202, answer.text
        (called,) = until(
            lambda: [each for each in receiver.requests if each.path.startswith("/order")]
        )
        assert called.headers["x-request-id"] == "order-1"

    # What ends processes is said too, and so is what can't be reached any more.
    stockroom.stack.leave_engine("valkey").stop()
    until(lambda: "ConnectionError" in logs.text() or "refused" in logs.text())
    for process in stockroom.stack.processes.values():
        process.stop()
    written = logs.text()
    assert {what for what, text in hidden.items() if text in written} == set()
    for name in PROCESSES:
        assert logs.lines(name)  # JSON to the end
