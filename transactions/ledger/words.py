"""Amounts, times and reasons of the ledger as people read them. Pure."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from .engine import amounts

REASONS = {  # of rejects: those of messages.py and inbox.py
    "too_large": "too large",
    "not_utf8": "not UTF-8",
    "not_json": "not JSON",
    "not_object": "not an object",
    "duplicate_key": "a key twice",
    "missing_field": "field missing",
    "bad_id": "bad id",
    "bad_value": "bad value",
    "unknown_provider": "unknown provider",
    "refused_by_table": "refused by the table",
}
STATES = {  # of instances: words, and the kind of their tag
    "leading": ("leads", ""),
    "waiting": ("waits", "off"),
    "silent": ("silent", "warn"),
}


def amount(number: Decimal | None) -> str:
    """ "1,900", "-0.1": all digits there are; "" for None."""
    if number is None:
        return ""
    whole, point, decimals = amounts.text(number).partition(".")
    if not number.is_finite():
        return whole
    return f"{int(whole):,}{point}{decimals}" if whole != "-0" else f"-0{point}{decimals}"


def change(number: Decimal) -> str:
    """ "+600", "-0.1", "0"."""
    text = amount(number)
    return f"+{text}" if number > 0 else text


def duration(seconds: float | None) -> str:
    """ "9 ms", "1.25 s"; "" for None."""
    if seconds is None:
        return ""
    return f"{seconds:,.2f} s" if abs(seconds) >= 1 else f"{1000 * seconds:.0f} ms"


def reason(code: str) -> str:
    """Why a message was refused, in two words."""
    return REASONS.get(code, code or "unknown")


def state(name: str) -> str:
    """The word for the state of an instance."""
    return STATES.get(name, (name, ""))[0]


def state_tag(name: str) -> str:
    """The CSS class of its tag."""
    return STATES.get(name, ("", "off"))[1]


def drift(found: Mapping[str, Any]) -> list[str]:
    """What a reconciliation has found, a sentence for each; `found` as schema.sql says."""
    said = []
    for each in found.get("totals") or ():
        text = f"{each['key']}: {each['kept']} by running totals, {each['right']} from scratch"
        counts = each.get("kept_transactions"), each.get("right_transactions")
        of = f" ({counts[0]} transactions added up, {counts[1]} in the table)"
        said.append(text + (of if counts[0] != counts[1] else ""))
    for each in found.get("keydb") or ():
        there = "is missing" if each.get("found") is None else f"is {each['found']}"
        said.append(f"KeyDB's {each['key']} {there}, it should be {each['right']}")
    for name, words in (("lost_ids", "at which nobody looks"), ("double_ids", "looked at twice")):
        if found.get(name):
            said.append(f"free ids of transactions {words}: {found[name]}")
    for each in found.get("repeated_providers") or ():
        said.append(f"provider {each['name']} is there more than once: ids {_some(each['ids'])}")
    repeated = found.get("repeated_transactions")
    if repeated:
        said.append(
            "the producer's sample rows are there more than once: its start repeats them"
            f" (ids {'; '.join(_some(ids) for ids in repeated)})"
        )
    return [*said, *(str(note) for note in found.get("notes") or ())]


def _some(ids: list[int]) -> str:
    return ", ".join(map(str, ids))
