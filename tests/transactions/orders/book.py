"""Orders and credit as the consumer leaves them, one step at a time."""

import uuid
from typing import Any

import redis
from django.db.models.functions import Now

from transactions.models import Order
from transactions.orders import keys
from transactions.orders.engine.settling import Decision, Settling, Wanted


class Book:
    """One Redis of prices and credit, and the orders in Postgres."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self._settling = Settling(client)

    @classmethod
    def opened(cls, client: redis.Redis) -> "Book":
        """With two users that have 1,000 each, and a stock at 10."""
        made = cls(client)
        made.set_credit("user1", "1000")
        made.set_credit("user2", "1000")
        made.set_price("stock1", "10")
        return made

    def set_credit(self, user: str, credit: str) -> None:
        """As somebody else does."""
        self.client.set(user, f'{{"id": 1, "credit": {credit}}}')

    def set_price(self, stock: str, price: str) -> None:
        self.client.set(stock, f'{{"id": 1, "time": ["090000"], "price": [{price}]}}')

    def credit(self, user: str) -> str:
        """As it is written."""
        value: Any = self.client.get(user)
        return str(value.decode().rpartition(": ")[2].rstrip("}"))

    def beside(self, user: str) -> dict[str, str]:
        found: Any = self.client.hgetall(keys.beside(user))
        return {name.decode(): value.decode() for name, value in found.items()}

    def receive(self, user: str, quantity: int) -> Wanted:
        """An order that has been verified."""
        order = Order.objects.create(
            user=user, stockname="stock1", quantity=quantity, status="verified"
        )
        return Wanted(order.order_id, user, "stock1", quantity)

    def settle(self, user: str, quantity: int) -> str:
        """Decide one in Redis alone; its id."""
        return self.settle_again(self.receive(user, quantity))

    def settle_again(self, wanted: Wanted) -> str:
        """Ask Redis for its decision, as often as others are in the way."""
        while not self._settling.settle([wanted], self._settling.time()):
            pass
        return str(wanted.order_id)

    def decide(self, *order_ids: str) -> None:
        """Write down in Postgres what Redis has decided."""
        for order_id in order_ids:
            written: Any = self.client.hget(keys.SETTLED, order_id)
            decision = Decision.read(written)
            updated = Order.objects.filter(order_id=uuid.UUID(order_id), status="verified").update(
                status=decision.status,
                reason=decision.reason,
                price=decision.price,
                amount=decision.amount,
                credit_before=decision.before,
                credit_after=decision.after,
                decided_at=Now(),
            )
            assert updated == 1

    def dumped(self) -> dict[bytes, bytes]:
        """All that Redis has now."""
        return {key: self.client.dump(key) for key in self.client.scan_iter()}  # type: ignore[misc]

    def restore(self, dumped: dict[bytes, bytes]) -> None:
        """Bring that back, and nothing else."""
        self.client.flushdb()
        for key, value in dumped.items():
            self.client.restore(key, 0, value)
