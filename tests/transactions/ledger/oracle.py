"""What the ledger must show: slow, obvious, from the specification, and no code of the product."""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

SAMPLE_PROVIDERS = [(1, "Visa", 1000), (2, "Mastercard", 2000)]
SAMPLE_TRANSACTIONS = [(1, 1, 100), (2, 1, 200), (3, 2, -200)]


def shown(amount: Fraction) -> str:
    """All digits of an amount; by the specification none after the point where it is whole."""
    scale = 0
    while (amount * 10**scale).denominator != 1:
        scale += 1
    digits = str(abs(int(amount * 10**scale))).rjust(scale + 1, "0")
    sign = "-" if amount < 0 else ""
    return sign + (f"{digits[:-scale]}.{digits[-scale:]}" if scale else digits)


def balances(
    providers: Iterable[tuple[int, str, Any]], transactions: Iterable[tuple[int, Any]]
) -> dict[str, str]:
    """Key and value of each provider, of (id, name, initial) and (provider, value)."""
    sums = {id_: Fraction(initial or 0) for id_, _, initial in providers}
    for provider, value in transactions:
        if provider in sums:
            sums[provider] += Fraction(value)
    return {f"{id_}_{name}": shown(sums[id_]) for id_, name, _ in providers}


def balances_of(cursor: Any) -> dict[str, str]:
    """The same of what stands in the tables."""
    cursor.execute("SELECT id, provider_name, initial_value FROM initial_data ORDER BY id")
    providers = cursor.fetchall()
    cursor.execute(
        "SELECT provider_id, transaction_value FROM historical_transactions"
        " WHERE transaction_value IS NOT NULL"
    )
    return balances(providers, cursor.fetchall())


def sums_of(cursor: Any) -> dict[int, tuple[Decimal, int]]:
    """Sum and number of the transactions of each provider, all of them added up each time."""
    cursor.execute(
        "SELECT provider_id, sum(transaction_value), count(*) FROM historical_transactions"
        " GROUP BY provider_id"
    )
    return {provider: (total, count) for provider, total, count in cursor.fetchall()}
