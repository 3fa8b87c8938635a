"""The table of checks: what each compares, how long it takes, and the function that does it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .findings import Outcome
from .kinds import catalogue, ledger, orders, prices, sales, stock_trees, webhooks
from .watch import Watch


class Unknown(ValueError):
    """There is no check of this name; the text names those there are."""


@dataclass(frozen=True)
class Check:
    """One of them. `run` looks only; it raises findings.NotChecked where it can't look."""

    name: str
    title: str
    compares: str  # one sentence
    takes: str  # how long, in words
    run: Callable[[Watch], Outcome]


ALL = (
    Check(
        "ledger",
        "Ledger",
        "All transactions added up from scratch, with the running totals and with KeyDB.",
        "seconds; half a minute for tens of millions of transactions",
        ledger.run,
    ),
    Check(
        "orders",
        "Orders",
        "What was taken from each user's credit in Redis, with the orders accepted in PostgreSQL.",
        "seconds",
        orders.run,
    ),
    Check(
        "sales",
        "Sales sums",
        "The newest rolling sums and dead letters in Kafka, with sums made again another way.",
        "up to a minute",
        sales.run,
    ),
    Check(
        "stock-trees",
        "Stock trees",
        "What finished stock sync jobs have stored, with the same events run again.",
        "a second for each megabyte of events",
        stock_trees.run,
    ),
    Check(
        "catalogue",
        "Catalogue counts",
        "Each import's counts with its rows, copies of deleted products, and the search index.",
        "seconds; half a minute for millions of products",
        catalogue.run,
    ),
    Check(
        "webhooks",
        "Webhooks",
        "Events of the last week with their deliveries, and deliveries with their attempts.",
        "seconds",
        webhooks.run,
    ),
    Check(
        "prices",
        "Prices",
        "Each stock's list of times with its list of prices, its newest price, and positions.",
        "a second for each hundred megabytes of histories",
        prices.run,
    ),
)
BY_NAME = {check.name: check for check in ALL}


def chosen(names: Iterable[str]) -> list[Check]:
    """Those of these names, in the table's order; all where none is named. Raises Unknown."""
    wanted = set(names)
    if strange := sorted(wanted - BY_NAME.keys()):
        raise Unknown(f"There is no check {strange[0]!r}. Checks are: {', '.join(BY_NAME)}.")
    return [check for check in ALL if not wanted or check.name in wanted]
