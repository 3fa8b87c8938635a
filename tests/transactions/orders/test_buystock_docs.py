"""docs/buystock.md says what is so: its code runs against a Stockroom, its tables are compared."""

import json
import os
import re
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings

from config.services.stack import Stack
from tests.running import NOT_PASSED_ON, Running
from tests.services.waiting import until
from transactions.models import OrderStatus, Reason
from transactions.orders import api_examples, api_shapes, callbacks, reception, waiting
from webhooks.event_types import ORDER_DECIDED

TEXT = (settings.BASE_DIR / "docs" / "buystock.md").read_text()
WORDS = " ".join(TEXT.split())
SECRET_CODE = """
from config.accounts.actors import Actor
from config.accounts.models import User
from webhooks.endpoints import callback_secrets
print("secret", callback_secrets.rotate(Actor(User.objects.get(username="demo")), None))
"""
TOKEN_CODE = """
from config.accounts import tokens
from config.accounts.models import User
owner = User.objects.get(username="demo")
print("token", tokens.issue(owner, "docs", ["orders:write"], trading_users=["user1", "user2"])[1])
"""


def section(heading: str) -> str:
    """The text below it, as far as the next heading of its level or above."""
    mark, rest = re.split(rf"^(##+) {re.escape(heading)}$", TEXT, flags=re.MULTILINE)[1:]
    return re.split(rf"^#{{1,{len(mark)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def blocks(heading: str, language: str) -> list[str]:
    found = re.findall(
        rf"^```{language}\n(.*?)^```$", section(heading), flags=re.MULTILINE | re.DOTALL
    )
    return list(found)


def rows(heading: str) -> list[list[str]]:
    """The cells of its first table, without code marks."""
    lines = re.findall(r"^\|(.*)\|$", section(heading), flags=re.MULTILINE)
    return [[cell.strip().replace("`", "") for cell in line.split(" | ")] for line in lines[2:]]


class TestTables:
    def test_statuses(self):
        assert [name for name, _ in rows("What happens to an order")] == OrderStatus.values

    def test_reasons(self):
        assert [name for name, _ in rows("Reasons")] == Reason.values

    def test_limits(self):
        found = dict(rows("Limits"))
        assert found["quantity"] == f"{reception.MOST_QUANTITY:,}"
        assert found["callback_url"] == f"{callbacks.URL_CHARACTERS:,} characters"
        assert found["?wait="] == f"{waiting.MOST_SECONDS:g} seconds"
        most = f"ORDERS_MOST_OPEN, {settings.ORDERS_MOST_OPEN:,}; then 503 busy"
        assert found["orders that wait for their decision"] == most

    def test_settings(self):
        found = {name: default for name, default, _ in rows("Settings")}
        names = {name for name in dir(settings) if name.startswith(("ORDERS_", "VERIFIER_"))}
        assert set(found) == names
        for name, default in found.items():
            value = getattr(settings, name)
            shown = f"{value:g}" if isinstance(value, float) else str(value or "none")
            assert default == shown, name

    def test_fields(self):
        names = [name for name, _ in rows("Place an order")]
        assert names == list(api_shapes.BuyStockSerializer().fields)

    def test_links_lead_somewhere(self):
        headings = re.findall(r"^#+ (.+)$", TEXT, flags=re.MULTILINE)
        anchors = {
            re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings
        }
        for target in re.findall(r"\]\(([^)]+)\)", TEXT):
            path, _, anchor = target.partition("#")
            if path:
                assert Path(settings.BASE_DIR / "docs" / path).exists(), target
            else:
                assert anchor in anchors, target


class TestExamples:
    def test_the_order_is_that_of_the_schema(self):
        (shown,) = map(json.loads, blocks("The order", "json"))
        assert shown == api_examples.ACCEPTED
        assert list(shown) == list(api_shapes.OrderSerializer().fields)

    def test_the_callback_is_that_which_is_sent(self):
        (shown,) = map(json.loads, blocks("Callbacks", "json"))
        assert shown["type"] == ORDER_DECIDED.name
        assert shown["data"] == ORDER_DECIDED.sample


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """The processes that orders need, with short verifications; two users and a stock."""
    given = {name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON}
    short = {
        "VERIFIER_MIN_SECONDS": "0.2",
        "VERIFIER_MAX_SECONDS": "0.6",
        "ORDERS_SWEEP_SECONDS": "0.3",
    }
    with (
        tempfile.TemporaryDirectory(prefix="stockroom-run-", ignore_cleanup_errors=True) as folder,
        Stack(
            Path(folder) / "var",
            {**given, **short},
            roles=("web", "orders", "deliveries"),
            engines=("postgres", "valkey"),
            port=0,
        ) as stack,
    ):
        stack.start()
        made = Running(stack)
        with redis.Redis.from_url(stack.environment["PRICES_REDIS_URL"]) as market:
            market.set("user1", '{"id": 1, "credit": 10}')
            market.set("user2", '{"id": 2, "credit": 900719925474099312345.5}')
            market.set("stock1", '{"id": 1, "time": ["090000"], "price": [1734.25]}')
        yield made


@pytest.fixture
def environment(running: Running, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the examples take from it."""
    (token,) = re.findall(r"^token (\S+)$", running.stack.manage("shell", "-c", TOKEN_CODE), re.M)
    monkeypatch.setenv("STOCKROOM", running.address)
    monkeypatch.setenv("TOKEN", token)
    return dict(os.environ)


def shell(block: str, environment: dict[str, str]) -> str:
    """What the lines print."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def code(heading: str) -> dict[str, Any]:
    """The names that its Python makes."""
    (block,) = blocks(heading, "python")
    names: dict[str, Any] = {}
    exec(block, names)
    return names


class TestAgainstARunningStockroom:
    def test_curl(self, environment):
        (place,), (listing,) = blocks("Place an order", "sh"), blocks("The order", "sh")
        order = json.loads(shell(place, environment))
        assert (order["status"], order["quantity"]) == ("received", 100)
        again = json.loads(shell(place, environment))
        assert again == order  # Idempotency-Key
        (wait,) = blocks("Learn the decision", "sh")
        decided = json.loads(shell(wait, environment))
        assert (decided["order_id"], decided["status"]) == (order["order_id"], "Accept")
        listed = json.loads(shell(listing, environment), parse_float=Decimal)
        assert listed["results"][0]["amount"] == 173425
        assert listed["results"][0]["order_id"] == order["order_id"]

    def test_the_client(self, environment):
        buy = code("A whole client")["buy"]
        order = buy("user2", "Stock1", 3, "client-1")
        assert (order["status"], order["amount"]) == ("Accept", Decimal("5202.75"))
        assert order["credit_before"] - order["credit_after"] == Decimal("5202.75")
        assert len(str(order["credit_after"]).replace(".", "")) >= 22  # no digit is lost
        assert buy("user2", "Stock1", 3, "client-1") == order
        denied = buy("user1", "stock1", 1, "client-2")
        assert (denied["status"], denied["reason"]) == ("Deny", "insufficient_credit")
        with pytest.raises(ValueError, match="quantity"):
            buy("user2", "stock1", 0, "client-3")
        with pytest.raises(ValueError, match="permission_denied"):
            buy("user3", "stock1", 1, "client-4")

    def test_the_stream(self, environment):
        ask, followed = code("A whole client")["ask"], code("Learn the decision")["followed"]
        order = ask(
            f"{environment['STOCKROOM']}/api/BuyStock",
            {"user": "user2", "stockname": "stock1", "quantity": 1},
        )
        states = [state["status"] for state in followed(order)]
        assert states[-1] == "Accept" and set(states) <= set(OrderStatus.values)
        assert [state["status"] for state in followed(order)] == ["Accept"]  # after all

    def test_the_callback(self, environment, running, monkeypatch):
        said = running.stack.manage("shell", "-c", SECRET_CODE)
        (secret,) = re.findall(r"^secret (whsec_\S+)$", said, re.M)
        monkeypatch.setenv("CALLBACK_SECRET", secret)
        names = code("Callbacks")
        server = names["receiver"](0)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            ask = code("A whole client")["ask"]
            order = ask(
                f"{environment['STOCKROOM']}/api/BuyStock",
                {
                    "user": "user2",
                    "stockname": "stock1",
                    "quantity": 2,
                    "callback_url": f"http://127.0.0.1:{server.server_port}/orders",
                },
            )
            (decision,) = until(lambda: names["decisions"], 60)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
        assert (decision["order_id"], decision["status"]) == (order["order_id"], "Accept")
        assert (decision["quantity"], decision["amount"]) == ("2", "3468.5")

        def told() -> bool:
            callback = ask(order["status_url"])["callback"]
            return (callback["state"], callback["last_status_code"]) == ("succeeded", 204)

        until(told, 60)

    def test_each_error_of_the_table(self, environment, running):
        """Those that a client can bring about."""
        with redis.Redis.from_url(running.stack.environment["PRICES_REDIS_URL"]) as market:
            market.set("stock2", '{"id": 2, "time": ["090000"], "price": [""]}')
        good = {"user": "user2", "stockname": "stock1", "quantity": 1}
        curl = (
            'curl -sS -o - -w "\\n%{http_code}" -H "Authorization: Bearer ${T-$TOKEN}"'
            ' -H "Content-Type: ${C-application/json}" -H "Idempotency-Key: ${K-}"'
            ' -X "${M-POST}" -d "$BODY" "$STOCKROOM/api/BuyStock"'
        ).replace(' -H "Idempotency-Key: ${K-}"', ' ${K:+-H "Idempotency-Key: $K"}')

        def answer(body: Any, **other: str) -> tuple[str, str, tuple[str, ...]]:
            text = body if isinstance(body, str) else json.dumps(body)
            said = shell(curl, {**environment, "BODY": text, **other})
            found, _, status = said.rpartition("\n")
            error = json.loads(found).get("error", {})
            return status, error.get("code", ""), tuple(sorted(error.get("fields", {})))

        assert answer(good, K="errors-1")[0] == "202"
        seen = {
            answer({**good, "quantity": 0, "more": 1}): ("400", "invalid", ("more", "quantity")),
            answer("{"): ("400", "parse_error", ()),
            answer(good, T="stk_nobody"): ("401", "authentication_failed", ()),
            answer({**good, "user": "user3"}): ("403", "permission_denied", ()),
            answer({**good, "stockname": "stock9"}): ("404", "not_found", ("stockname",)),
            answer(good, M="PUT"): ("405", "method_not_allowed", ()),
            answer({**good, "stockname": "stock2"}): ("409", "conflict", ("stockname",)),
            answer({**good, "quantity": 2}, K="errors-1"): ("409", "idempotency_conflict", ()),
            answer(good, C="text/plain"): ("415", "unsupported_media_type", ()),
        }
        assert list(seen) == list(seen.values())
        table = {
            (status, each) for status, codes, _ in rows("Errors") for each in codes.split(", ")
        }
        assert {(status, name) for status, name, _ in seen} <= table

    def test_the_commands(self, running):
        said = running.stack.manage(
            "place_orders", "--count", "3", "--quantity", "1", "--no-progress"
        )
        assert "3 orders: " in said
        until(lambda: "No drift" in running.stack.manage("reconcile_orders"), 60)
