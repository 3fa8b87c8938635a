"""Orders in the database of a real web process, and a client that waits for their decision."""

import select
import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from http.client import HTTPConnection, HTTPResponse
from typing import Any, Self

import psycopg2

from tests.web.servers import Server, until
from transactions.models import Order
from transactions.orders import live

PRICE, QUANTITY = Decimal("9007199254740993.10"), 100


class Desk:
    """Writes rows with a plain client; tells of them with the product's `tell`."""

    def __init__(self, database_url: str) -> None:
        self._connection = psycopg2.connect(database_url)

    def execute(self, statement: str, *values: Any) -> None:
        with self._connection, self._connection.cursor() as cursor:
            cursor.execute(statement, values)

    def close(self) -> None:
        self._connection.close()

    def place(self, user: str = "user1", status: str = "verifying") -> Order:
        order = Order(
            order_id=uuid.uuid4(), user=user, stockname="stock1", quantity=QUANTITY, status=status
        )
        self.execute(
            'INSERT INTO transactions_order (order_id, "user", stockname, quantity, status, reason,'
            " detail, verifications, claim, callback_url)"
            " VALUES (%s, %s, %s, %s, %s, '', '', 1, 1, '')",
            *(str(order.order_id), user, order.stockname, order.quantity, status),
        )
        return order

    def move(self, order: Order, status: str) -> None:
        """To another status, without telling anybody."""
        order.status = status
        if status in ("Accept", "Deny"):
            order.price, order.amount = PRICE, PRICE * QUANTITY
            order.decided_at = datetime.now(UTC)
        self.execute(
            "UPDATE transactions_order SET status = %s, price = %s, amount = %s, decided_at = %s"
            " WHERE order_id = %s",
            *(status, order.price, order.amount, order.decided_at, str(order.order_id)),
        )

    def decide(self, order: Order, status: str = "Accept") -> None:
        self.move(order, status)
        live.tell([order])


class Asking:
    """A request that is on its way; use as a context manager."""

    def __init__(
        self, server: Server, path: str, headers: Mapping[str, str], method: str = "GET"
    ) -> None:
        host, port = server.address
        self._connection = HTTPConnection(host, port, timeout=60)
        self._connection.request(method, path, headers=dict(headers))

    @property
    def answered(self) -> bool:
        return bool(select.select([self._connection.sock], [], [], 0)[0])

    def answer(self, seconds: float = 60.0) -> tuple[HTTPResponse, bytes]:
        """The response and its body, which comes within `seconds`: sooner than a long wait ends."""
        until(lambda: self.answered, "the answer", seconds=seconds)
        response = self._connection.getresponse()
        return response, response.read()

    def leave(self) -> None:
        with suppress(OSError):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()
