"""Words for the ledger in templates."""

import re

from django import template
from django.utils.dateparse import parse_datetime
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from transactions.ledger import words

register = template.Library()

register.filter("amount", words.amount)
register.filter("change", words.change)
register.filter("duration", words.duration)
register.filter("reason", words.reason)
register.filter("state", words.state)
register.filter("state_tag", words.state_tag)
register.filter("as_instant", parse_datetime)


@register.filter
def with_code(text: str) -> SafeString:
    """What stands between backquotes becomes a `<code>`; all else is escaped."""
    return mark_safe(re.sub("`([^`]*)`", r"<code>\1</code>", str(escape(text))))
