"""Words for a product's history in templates: `{% load catalogue_history %}`."""

from django import template

from products.catalogue import differences as pairs
from products.catalogue.history import IMPORTED, Entry
from products.models import ChangeAction

register = template.Library()
register.filter("differences", pairs.differences)

DID = {
    ChangeAction.CREATED: "added it",
    ChangeAction.DELETED: "deleted it",
    ChangeAction.RESTORED: "restored it",
    IMPORTED: "changed it",
}


@register.filter
def did(entry: Entry) -> str:
    """What the entry's author did: "changed name, state"."""
    if entry.action == ChangeAction.UPDATED:
        names = [pairs.LABELS.get(field, field) for field in entry.changes]
        return "changed " + ", ".join(each if each == "SKU" else each.lower() for each in names)
    return DID.get(entry.action, "changed it")
