"""Amounts as KeyDB shows them: 1300, -200, 0.1; by the specification without decimals where there
are none. Pure."""

from decimal import Decimal


def text(amount: Decimal) -> str:
    """All digits, no exponent, no zeros at the end of decimals."""
    if not amount.is_finite():
        return str(amount)
    digits = f"{amount:f}"
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    return "0" if digits in ("-0", "") else digits
