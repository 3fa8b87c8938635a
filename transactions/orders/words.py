"""Orders as people read them: states, reasons, what happened when. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from transactions.models import Order, OrderStatus, Reason

OPEN = "open"  # the filter for all that is not decided
STATUSES = {OPEN: "Open", **{each.value: str(each.label) for each in OrderStatus}}
TAGS: dict[str, str] = {OrderStatus.ACCEPT: "", OrderStatus.DENY: "bad"}  # what is open has "off"
# Of these the verification is to blame: it ended, and the user was not verified.
VERIFICATION = (
    Reason.VERIFICATION_REFUSED,
    Reason.VERIFICATION_STALLED,
    Reason.VERIFICATION_FAILED,
)
MINUTE = 60


@dataclass(frozen=True)
class Step:
    """One line of an order's time line."""

    name: str
    at: datetime | None = None  # None: it goes on, or it has no time of its own
    kind: str = ""  # CSS class of its mark: "", "now", "bad"
    said: str = ""  # more about it


def status(name: str) -> str:
    """ "Accepted"."""
    return STATUSES.get(name, name)


def tag(name: str) -> str:
    """The CSS class of a status's tag."""
    return TAGS.get(name, "off")


def reason(code: str) -> str:
    """Why an order is denied, as a sentence without its point; "" for none."""
    return str(Reason(code).label) if code in Reason else code


def duration(seconds: float | None) -> str:
    """ "9 ms", "1.25 s", "3 min 20 s"; "" for None."""
    if seconds is None:
        return ""
    if abs(seconds) < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < MINUTE:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), MINUTE)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {rest} s"


def ordinal(number: int) -> str:
    """ "1st", "2nd", "3rd", "11th"."""
    last = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10)
    return f"{number:,}{last or 'th'}"


def between(one: datetime | None, other: datetime | None) -> float | None:
    """Seconds from the one to the other, None where either is not known."""
    if one is None or other is None:
        return None
    return max(0.0, (other - one).total_seconds())


def steps(order: Order) -> Iterator[Step]:
    """What has happened to it, and what it is at now; callbacks are others' (webhooks)."""
    yield Step("Received", order.received_at)
    if order.verification_began_at is not None:
        tries = f"{ordinal(order.verifications)} try" if order.verifications > 1 else ""
        yield Step("Verification began", order.verification_began_at, said=tries)
    if order.status == OrderStatus.RECEIVED:
        yield Step("Waits for a consumer that verifies its user", kind="now")
    elif order.status == OrderStatus.VERIFYING:
        yield Step("Being verified", kind="now")
    if order.verified_at is not None:
        took = duration(between(order.verification_began_at, order.verified_at))
        after = f"after {took}" if took else ""
        if order.reason in VERIFICATION:
            yield Step("Verification ended", order.verified_at, "bad", after)
        else:
            yield Step("Verified", order.verified_at, said=after)
    if order.status == OrderStatus.VERIFIED:
        yield Step("Being decided", kind="now")
    if order.decided_at is not None:
        accepted = order.status == OrderStatus.ACCEPT
        yield Step(
            status(order.status), order.decided_at, "" if accepted else "bad", _decided(order)
        )


def _decided(order: Order) -> str:
    said = [reason(order.reason)] if order.reason else []
    if order.verified_at is not None:
        took = duration(between(order.verified_at, order.decided_at))
        said.append(f"{took} after the verification's end")
    elif order.verification_began_at is None:
        said.append("at once, before any verification")
    return ", ".join(said)
