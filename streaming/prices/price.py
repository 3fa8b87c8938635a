"""The rule of a written price, the same for rows and for values that others wrote. Pure."""

import re
from decimal import Decimal, InvalidOperation

LENGTH = 40  # characters; orders count exactly with up to 100 digits on either side of the point
# As a double is written, with up to 17 digits, too. Text, unlike JSON, may begin with zeros.
NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
USUAL = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,6}))?")  # most are: four times as fast as Decimal


def in_full(text: str) -> str | None:
    """The same number, 0 or more, without exponent and needless zeros: 1.50e2 is 150.

    None where it is no number, or longer than LENGTH, as it is written or in full.
    """
    found = USUAL.fullmatch(text)
    if found is not None:
        return _short(found[1], found[2] or "")
    if len(text) > LENGTH or not NUMBER.fullmatch(text):
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:  # an exponent beyond those of Decimal
        return None
    if abs(number.adjusted()) > LENGTH:
        return None
    whole, _, fraction = f"{number:f}".partition(".")
    full = _short(whole, fraction)
    return full if len(full) <= LENGTH else None


def _short(whole: str, fraction: str) -> str:
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole
