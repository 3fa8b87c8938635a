"""What a change of many products is going to do, does and did, in words. Pure.

Used by the pages of bulk changes and their messages.
"""

from config.listing import Total
from products.models import BulkAction, BulkChange, BulkState

from .bulk_progress import in_words
from .filters import Filter

VERBS = {
    BulkAction.ACTIVATE: "Activate",
    BulkAction.DEACTIVATE: "Deactivate",
    BulkAction.DELETE: "Delete",
    BulkAction.RESTORE: "Restore",
}
DOING = {
    BulkAction.ACTIVATE: "Activating",
    BulkAction.DEACTIVATE: "Deactivating",
    BulkAction.DELETE: "Deleting",
    BulkAction.RESTORE: "Restoring",
}
DONE = {
    BulkAction.ACTIVATE: "activated",
    BulkAction.DEACTIVATE: "deactivated",
    BulkAction.DELETE: "deleted",
    BulkAction.RESTORE: "restored",
}


def products(count: int) -> str:
    """ "1 product", "24,397 products"."""
    return f"{count:,} product{'' if count == 1 else 's'}"


def hours(number: float) -> str:
    """ "24 hours"."""
    return f"{number:g} hour{'' if number == 1 else 's'}"


def of_filter(filter: Filter, total: Total) -> str:
    """ "about 24,400 active products matching “song”", "all 466,693 products"."""
    number = f"{'' if total.exact else 'about '}{total.rows:,}"
    parts = [f"all {number}" if filter.everything else number]
    if filter.state:
        parts.append(filter.state)
    parts.append("product" if total.rows == 1 and not filter.everything else "products")
    if filter.search:
        parts.append(f"matching “{filter.search}”")
    return " ".join(parts)


def what(change: BulkChange) -> str:
    """Which products: "24,397 products matching “song”"."""
    total = Total(change.expected, change.expected_exact)
    if change.action == BulkAction.RESTORE or change.ids is not None:
        return products(change.expected)
    return of_filter(Filter(change.search, change.active), total)


def title(change: BulkChange) -> str:
    """ "Deactivating 24,397 products matching “song”", and once it has ended what it did."""
    if change.ended:
        return f"{products(change.changed)} {DONE[BulkAction(change.action)]}"
    return f"{DOING[BulkAction(change.action)]} {what(change)}"


def under_way(change: BulkChange) -> str:
    """For the list, of one that has not ended: "Deleting products matching “a”: 20 of 300"."""
    about = "" if change.expected_exact else "about "
    far = f"{change.matched:,} of {about}{change.expected:,}"
    if change.state == BulkState.QUEUED:
        far += ", waiting for a worker"
    if change.action == BulkAction.RESTORE:
        return f"Restoring deleted products: {far}. The others come back by and by"
    return f"{DOING[BulkAction(change.action)]} {in_words(change)}: {far}"


def left_out(action: BulkAction) -> str:
    """What those were that matched and were not changed."""
    return {
        BulkAction.ACTIVATE: "were active already",
        BulkAction.DEACTIVATE: "were inactive already",
        BulkAction.DELETE: "were gone already",
        BulkAction.RESTORE: "left out: SKU in use again",
    }[action]


def progress(change: BulkChange) -> str:
    """What happens now, or what has happened."""
    if change.ended:
        return outcome(change)
    if change.cancel_requested:
        return "Stopping…"
    if change.state == BulkState.QUEUED:
        return "Waiting for a worker"
    if change.error:
        return f"A step failed and is tried again: {change.error}"
    about = "" if change.expected_exact else "about "
    return f"{change.matched:,} of {about}{products(change.expected)}"


def left(seconds: float | None) -> str:
    """The time that is left, as templates/static/catalogue/bulk.js says it."""
    if seconds is None:
        return ""
    if seconds < 1:
        return "nearly there"
    return f"about {seconds:.0f} s left" if seconds < 90 else f"about {seconds / 60:.0f} min left"


def outcome(change: BulkChange) -> str:
    """What an ended change did: "12 products deactivated, 3 were inactive already."."""
    action = BulkAction(change.action)
    done = f"{products(change.changed)} {DONE[action]}"
    others = change.matched - change.changed
    if change.state == BulkState.CANCELLED:
        return change.error or f"Cancelled: {done}."
    if change.state == BulkState.FAILED:
        return f"Failed after {done}: {change.error}"
    if not others or action == BulkAction.DELETE:
        return f"{done}."
    were = "was" if others == 1 else "were"
    if action == BulkAction.RESTORE:
        whose = "its SKU is" if others == 1 else "their SKUs are"
        return f"{done}, {others:,} could not be: {whose} in use again."
    state = "active" if action == BulkAction.ACTIVATE else "inactive"
    if not change.changed:
        return f"Nothing to do: {products(others)} {were} {state} already."
    return f"{done}, {others:,} {were} {state} already."
