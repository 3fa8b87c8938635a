"""An order in the hands of this process."""

from dataclasses import dataclass

from transactions.orders.verification import Outcome

from .claims import Claimed
from .queue import Arrival
from .settling import Wanted


@dataclass(eq=False)
class Held:
    """From its claim until it is decided, or another's."""

    order: Claimed
    arrival: Arrival | None = None  # its message, if that has come
    outcome: Outcome | None = None  # of the verification
    ended_at: float = 0.0  # monotonic, of the verification
    written: bool = False  # whether Postgres knows that it was verified
    failed: bool = False  # to be decided, by itself

    @property
    def wanted(self) -> Wanted:
        order = self.order
        return Wanted(order.order_id, order.user, order.stockname, order.quantity)
