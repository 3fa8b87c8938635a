"""What a look at credit and orders has found, as numbers, JSON and lines to read. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from transactions.ledger.drift import MOST_KEPT, MOST_SHOWN, listed, plural, table
from transactions.ledger.engine.amounts import text

from .market import Account

# What was taken from a user's credit is less than Postgres has accepted, or more.
BEHIND, AHEAD = "behind", "ahead"


class Sums(NamedTuple):
    """Accepted orders of a user, and what they cost."""

    orders: int
    taken: Decimal


@dataclass(frozen=True)
class UserDrift:
    """A user whose credit is not what the accepted orders make it."""

    account: Account  # as Redis has it
    right: Sums  # by Postgres, with what Redis has decided and Postgres not written down yet
    trouble: str = ""  # why the value can't be read

    @property
    def user(self) -> str:
        return self.account.user

    @property
    def found(self) -> Sums:
        return Sums(int(self.account.orders or 0), self.account.taken)

    @property
    def kind(self) -> str:
        """BEHIND, AHEAD, or "" where only the value can't be read."""
        found, right = (self.found.taken, self.found.orders), (self.right.taken, self.right.orders)
        return "" if found == right else BEHIND if found < right else AHEAD

    @property
    def lost(self) -> Decimal:
        """What is still to be taken from the credit; below 0 where too much was."""
        return self.right.taken - self.found.taken

    def json(self) -> dict[str, Any]:
        return {
            "user": self.user,
            "kind": self.kind,
            "orders": self.found.orders,
            "right_orders": self.right.orders,
            "taken": text(self.found.taken),
            "right_taken": text(self.right.taken),
            "trouble": self.trouble,
        }


class Given(NamedTuple):
    """Others have changed this user's credit since the last accepted order: no drift."""

    user: str
    amount: Decimal  # below 0: they took it

    def json(self) -> dict[str, Any]:
        return {"user": self.user, "amount": text(self.amount)}


class Unknown(NamedTuple):
    """Redis has decided an order that Postgres does not have."""

    order_id: str
    decision: str  # as Redis keeps it

    def json(self) -> dict[str, Any]:
        return {"order_id": self.order_id, "decision": self.decision}


@dataclass(frozen=True)
class Findings:
    """All that was found."""

    users: int
    orders: int  # accepted
    drift: tuple[UserDrift, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    given: tuple[Given, ...] = ()
    in_motion: tuple[str, ...] = ()  # users whose orders came too fast to be compared

    @property
    def drifts(self) -> int:
        """How many things are not as they should be."""
        return len(self.drift) + len(self.unknown)

    def json(self) -> dict[str, Any]:
        """What is kept of it."""
        return {
            "users": self.users,
            "orders": self.orders,
            "drift": [each.json() for each in self.drift[:MOST_KEPT]],
            "unknown": [each.json() for each in self.unknown[:MOST_KEPT]],
            "given": [each.json() for each in self.given[:MOST_KEPT]],
            "in_motion": list(self.in_motion[:MOST_KEPT]),
        }

    def lines(self) -> list[str]:
        """For the terminal."""
        orders = plural(self.orders, "accepted order")
        lines = [f"{orders} of {plural(self.users, 'user')} compared with the credit in Redis."]
        for kind, words in (
            (BEHIND, "Redis has lost deductions, as one restored from an older state has"),
            (AHEAD, "Redis has taken more than Postgres accepted, as beside a restored Postgres"),
        ):
            if some := [each for each in self.drift if each.kind == kind]:
                lines += ["", f"{words}: {plural(len(some), 'user')}.", *_numbers(some)]
        if broken := [each for each in self.drift if each.trouble]:
            lines += ["", f"The value of {plural(len(broken), 'user')} can't be read:"]
            lines += [f"  {each.user}: {each.trouble}" for each in broken[:MOST_SHOWN]]
        if self.unknown:
            count = plural(len(self.unknown), "order")
            lines += ["", f"Redis has decided {count} that Postgres does not have:"]
            lines += [f"  {each.order_id} {each.decision}" for each in self.unknown[:MOST_SHOWN]]
        if self.given:
            lines += ["", "Changed by others since the user's last accepted order, no drift:"]
            rows = [(each.user, _signed(each.amount)) for each in self.given[:MOST_SHOWN]]
            lines += table(("user", "credit"), rows, len(self.given))
        if self.in_motion:
            lines += ["", f"Not compared, always in motion: {listed(self.in_motion)}."]
        return lines


def _numbers(some: Sequence[UserDrift]) -> list[str]:
    rows = [
        (
            *(each.user, text(each.found.taken), text(each.right.taken), _signed(each.lost)),
            *(str(each.found.orders), str(each.right.orders)),
        )
        for each in some[:MOST_SHOWN]
    ]
    heading = ("user", "taken", "right", "to take", "orders", "right")
    return table(heading, rows, len(some))


def _signed(amount: Decimal) -> str:
    return f"+{text(amount)}" if amount > 0 else text(amount)
