"""Words for orders in templates."""

from django import template

from transactions.ledger.words import amount
from transactions.orders import words

register = template.Library()

register.filter("amount", amount)
register.filter("duration", words.duration)
register.filter("reason", words.reason)
register.filter("status", words.status)
register.filter("status_tag", words.tag)
