"""Prices, states and reasons as people read them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

REASONS = {  # of dead letters: those of rows.py, price_file.py, store.py and the loop
    "empty": "empty",
    "too_large": "too large",
    "not_utf8": "not UTF-8",
    "not_json": "not JSON",
    "not_object": "not an object",
    "unknown_field": "unknown field",
    "missing_field": "field missing",
    "bad_stock": "bad stock",
    "bad_time": "bad time",
    "bad_price": "bad price",
    "negative_price": "negative price",
    "bad_line": "bad line",
    "not_a_stock": "not a stock",
    "deleted": "deleted unread",
}
STATES = {  # of instances and partitions: words, and the kind of their tag
    "starting": ("starting", "off"),
    "waiting": ("waiting", "warn"),
    "running": ("running", ""),
    "halted": ("halted", "bad"),
    "nobody": ("nobody", "warn"),
}
LONGEST_EXPONENT = 40
KAFKA = "kafka:"


@dataclass(frozen=True)
class Change:
    """From the price before the newest one."""

    amount: Decimal
    percent: Decimal | None  # None where that was 0

    @property
    def tone(self) -> str:
        """The CSS class of its colour."""
        return "muted" if self.amount == 0 else "good" if self.amount > 0 else "bad"

    @property
    def text(self) -> str:
        """ "+18", "-8.5", "0"."""
        if abs(self.amount.adjusted()) > LONGEST_EXPONENT:
            return str(self.amount)
        return f"{self.amount:+,f}" if self.amount else "0"

    @property
    def percent_text(self) -> str:
        """ "+1.80 %", "" for none."""
        return "" if self.percent is None else f"{self.percent:+,.2f} %"


def change(prices: Sequence[str]) -> Change | None:
    """From the last price but one to the last, gaps left out; None where there are not two."""
    known = [price for price in reversed(prices) if price][:2]
    if len(known) < 2:
        return None
    newest, before = map(Decimal, known)
    amount = newest - before
    return Change(amount, 100 * amount / before if before else None)


def amount(number: Decimal) -> str:
    """ "1,734.5": all digits there are."""
    if abs(number.adjusted()) > LONGEST_EXPONENT:
        return str(number)
    return f"{number:,f}"


def price(token: str) -> str:
    """A number of JSON for eyes; what is none as it is."""
    try:
        return amount(Decimal(token)) if token else ""
    except InvalidOperation:
        return token


def state(name: str) -> str:
    """The word for a state of an instance or partition."""
    return STATES.get(name, (name, ""))[0]


def state_tag(name: str) -> str:
    """The CSS class of its tag."""
    return STATES.get(name, ("", "off"))[1]


def reason(code: str) -> str:
    """Why a row was refused, in two words."""
    return REASONS.get(code, code or "unknown")


def place(name: str, at: int) -> str:
    """Where a row came from: "row 12 of the file", "main_topic · partition 0 · offset 7"."""
    topic, _, partition = name.removeprefix(KAFKA).rpartition(":")
    if name.startswith(KAFKA) and topic:
        return f"{topic} · partition {partition} · offset {at}"
    return f"row {at} of the file" if name == "csv" else f"{name} · {at}"
