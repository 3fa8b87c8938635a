"""What a load was told to be done against what is in the engines: nothing lost, nothing twice."""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

from config.services.stack_error import StackError
from tests.products.imports import import_oracle
from tests.rolling.load import (
    CREDITS,
    PRICE,
    SECONDS,
    Edits,
    Everything,
    Imports,
    Messages,
    Orders,
    Views,
)
from tests.rolling.whole import WholeStockroom
from tests.services.waiting import until
from tests.transactions.orders.stage import credit
from tests.webhooks.traffic import Watched, check_received, told, undelivered

DECIDED = """
SELECT order_id::text, "user", status, quantity, amount FROM transactions_order ORDER BY received_at
"""
SAMPLE_ROWS = 3  # of `seed_ledger`


def reconcile(stockroom: WholeStockroom, load: Everything) -> str:
    """All of it, once the load has ended; what there was, in words."""
    imports(stockroom, load.imports)
    twice = edits(stockroom, load.edits, load.watched)
    sums = sales(stockroom)
    decided = orders(stockroom, load.orders)
    rows = messages(stockroom, load.messages)
    return (
        f"{load.imports.done} imports, {load.edits.done * load.edits.STEP} edits ({twice} requests"
        f" came twice), {sums} sums, orders {dict(decided)}, {rows} ledger rows, views"
        f" {dict(load.views.answers)}"
    )


def nobody_was_turned_away(views: Views) -> None:
    """Every request that nobody repeats was answered as it should be."""
    assert set(views.answers) == {"ok"}, views.answers


def imports(stockroom: WholeStockroom, load: Imports) -> None:
    """Each import's counts and rejects, and the catalogue, are the oracle's."""
    for job_id, expected in load.expected.items():
        job = stockroom.job(job_id)
        assert (job["state"], job["error"]) == ("done", ""), f"{job}\n{stockroom.log}"
        assert {name: job[name] for name in expected.counts} == expected.counts
        lines = stockroom.query(
            "SELECT line FROM products_importreject WHERE job_id = %s ORDER BY 1", job_id
        )
        assert [line for (line,) in lines] == expected.rejected_lines
    found = {
        key: product
        for key, product in stockroom.catalogue().items()
        if not key.startswith("by-hand-")
    }
    assert import_oracle.differences(found, load.products) == []


def edits(stockroom: WholeStockroom, load: Edits, watched: Sequence[Watched]) -> int:
    """Each edit is one event, and has come to each receiver; how many requests came twice."""
    try:
        until(lambda: undelivered(stockroom, watched) == 0, SECONDS)
    except AssertionError:
        raise AssertionError(
            f"{undelivered(stockroom, watched)} deliveries are missing\n{stockroom.log}"
        ) from None
    events = told(stockroom)
    made = load.done * load.STEP
    assert sorted(event.name for event in events) == sorted(f"edit {n}" for n in range(made))
    return sum(check_received(stockroom, one, events) for one in watched)


def sales(stockroom: WholeStockroom) -> int:
    """Sums are those of the tests' oracle and of `verify_sales`; how many there are."""
    stockroom.sales.wait_until_done(SECONDS)
    judged = stockroom.sales.assert_right()
    right(stockroom, "verify_sales")
    return judged.right


def orders(stockroom: WholeStockroom, load: Orders) -> Counter[str]:
    """Each order is decided once, and the credit is what the accepted ones left; by decision."""

    def found() -> list[tuple[str, str, str, int, Decimal | None]]:
        return stockroom.query(DECIDED)

    def decided() -> bool:
        return all(status in ("Accept", "Deny") for _, _, status, _, _ in found())

    try:
        until(decided, SECONDS)
    except AssertionError:
        raise AssertionError(f"open orders\n{stockroom.log}") from None
    rows = found()
    assert sorted(row[0] for row in rows) == sorted(load.placed)
    accepted: Counter[str] = Counter()
    for _, user, status, quantity, amount in rows:
        if status == "Accept":
            assert amount == PRICE * quantity
            accepted[user] += PRICE * quantity
    for user, began in CREDITS.items():
        assert credit(stockroom.market, user) == began - accepted[user], user
    assert "No drift." in right(stockroom, "reconcile_orders")
    return Counter(row[2] for row in rows)


def messages(stockroom: WholeStockroom, load: Messages) -> int:
    """Each message is one row, and the balances are their sums."""

    def rows() -> list[tuple[int, int]]:
        return stockroom.query(
            "SELECT provider_id, transaction_value::bigint FROM historical_transactions"
            " ORDER BY id OFFSET %s",
            SAMPLE_ROWS,
        )

    wanted = [(load.providers[n % len(load.providers)], n) for n in range(load.sent)]
    try:
        until(lambda: len(rows()) >= len(wanted) and not stockroom.queue.waiting(), SECONDS)
    except AssertionError:
        raise AssertionError(f"{len(rows())} of {len(wanted)} rows\n{stockroom.log}") from None
    assert sorted(rows(), key=lambda row: row[1]) == wanted
    assert "No drift" in right(stockroom, "reconcile_ledger")
    return load.sent


def right(stockroom: WholeStockroom, command: str) -> str:
    """What a checking command says, which has to end with 0."""
    try:
        return stockroom.stack.manage(command)
    except StackError as error:
        raise AssertionError(f"{error}\n{stockroom.log}") from None
