"""Sums and states of sales as people read them. Pure."""

from decimal import Decimal

from .dead_letter import REASONS

STATES = {  # of instances and partitions: words, and the kind of their tag
    "starting": ("starting", "off"),
    "waiting": ("waiting", "warn"),
    "replaying": ("reading again", "warn"),
    "running": ("running", ""),
    "halted": ("halted", "bad"),
    "nobody": ("nobody", "warn"),
}


def money(amount: Decimal) -> str:
    """ "1,234.50": all digits there are, two after the point at least."""
    decimals = -int(amount.normalize().as_tuple().exponent)
    return f"{amount:,.{max(2, decimals)}f}"


def state(name: str) -> str:
    """The word for a state of an instance or partition."""
    return STATES.get(name, (name, ""))[0]


def state_tag(name: str) -> str:
    """The CSS class of its tag."""
    return STATES.get(name, ("", "off"))[1]


def reason(code: str) -> str:
    """Why a message was refused, in two words."""
    return REASONS.get(code, code or "unknown")
