"""Messages of one shape, read by a pattern: what one producer writes. Pure; used by messages.py.

A shape is the order of the fields and the blanks between them. The pattern takes less than messages
may be, so what it takes is plain, and what it doesn't take is read as JSON. Which shape is known
changes how soon a message is read, never what is read in it.
"""

import re
from collections.abc import Callable
from functools import lru_cache

Known = tuple[Callable[[bytes], "re.Match[bytes] | None"], tuple[int, ...]]

BLANKS = rb"[ \t\r\n]*+"
TEXT = rb"[ !#-\[\]-~]"  # printable ASCII without quote and backslash
WHOLE = rb"-?(?:0|[1-9][0-9]{0,%d}+)"  # with one digit more at most
ANY = rb'(?:"%b*+"|%b(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+|NaN|null|true|false)' % (
    TEXT,
    WHOLE % 17,
)
USED = {
    b"StockCode": rb'"(%b{1,128}+)"' % TEXT,
    b"Quantity": rb"(%b)" % (WHOLE % 8),
    # So few digits that no other decimal has the same double.
    b"Price": rb"(%b\.[0-9]{1,6}+)" % (WHOLE % 5),
    b"InvoiceDate": rb"(%b\.[0-9]{1,9}+)" % (WHOLE % 11),
}
FIELD = re.compile(rb'[{,]%b"(%b*+)"%b:%b(%b)%b' % (BLANKS, TEXT, BLANKS, BLANKS, ANY, BLANKS))
LONGEST, MOST_FIELDS = 4_000, 40  # of a message to learn from
# So many messages of other shapes, then another one is learned; after one that is not plain, the
# next try comes sooner.
MISSES, SOONER = 10_000, 100


class Shape:
    """The shape that was learned last."""

    def __init__(self) -> None:
        # The pattern's fullmatch; the groups of StockCode, Quantity, Price and InvoiceDate in it.
        self.known: Known = (re.compile(rb"(?!)").fullmatch, ())
        self._misses = MISSES

    def missed(self, value: bytes) -> None:
        """The pattern does not take this message, which is a sale. It may be learned from."""
        self._misses += 1
        if self._misses > MISSES:
            known = learned(value)
            if known is None:
                self._misses = MISSES - SOONER
            else:
                self.known = known
                self._misses = 0


def learned(value: bytes) -> Known | None:
    """The shape of a message, None where it is not plain."""
    if len(value) > LONGEST:
        return None
    names: list[bytes] = []
    pieces: list[bytes] = []
    at = 0
    while (field := FIELD.match(value, at)) is not None and len(names) < MOST_FIELDS:
        if (field[0][:1] == b"{") != (at == 0):
            return None
        name = field[1]
        names.append(name)
        pieces += (
            re.escape(value[at : field.start(2)]),
            USED.get(name, ANY),
            re.escape(value[field.end(2) : field.end()]),
        )
        at = field.end()
    rest = value[at:]
    if rest.rstrip(b" \t\r\n") != b"}" or len(set(names)) < len(names):
        return None
    used = [name for name in names if name in USED]
    if len(used) < len(USED):
        return None
    pattern = re.compile(b"".join(pieces) + re.escape(rest))
    return pattern.fullmatch, tuple(used.index(name) + 1 for name in USED)


@lru_cache(maxsize=4_096)
def units_of_price(text: bytes) -> int:
    """A decimal of at most six decimals in units."""
    whole, decimals = text.split(b".")
    return int(whole + decimals.ljust(6, b"0"))
