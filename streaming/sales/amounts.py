"""Amounts of money as integers of 10⁻⁶ ("units"), exact. Pure; used by messages and partition."""

from fractions import Fraction

PER_ONE = 1_000_000  # units in 1
LEAST, MOST = -(2**63), 2**63 - 1  # units of one sale: int64

# Up to 15 digits every decimal has a double of its own (IEEE 754), and repr() finds it back.
EXACT_UNITS = 10**15


def units_of(quantity: int | float, price: int | float) -> int | None:
    """Quantity × Price in units, a double taken as its shortest decimal text; both finite.

    None where the product is no multiple of 10⁻⁶. Not bounded.
    """
    amount = _decimal(quantity) * _decimal(price) * PER_ONE
    return amount.numerator if amount.denominator == 1 else None


def amount_text(units: int) -> str:
    """The decimal: at least one and at most six decimals, no needless zeros, never `-0.0`."""
    if 100 <= units < EXACT_UNITS:
        return repr(units / PER_ONE)
    whole, part = divmod(abs(units), PER_ONE)
    decimals = f"{part:06d}".rstrip("0") or "0"
    return f"{'-' if units < 0 else ''}{whole}.{decimals}"


def _decimal(number: int | float) -> Fraction:
    return Fraction(number) if isinstance(number, int) else Fraction(repr(number))
