"""Figures of streams and the ledger in templates."""

from django import template

from config import figures

register = template.Library()

register.filter("rate", figures.rate)
register.filter("size", figures.size)
register.filter("span", figures.span)
register.filter("instant", figures.instant)
register.filter("numbers", figures.numbers)


@register.filter
def milliseconds(value: int | None) -> float | None:
    """Kafka's timestamps as seconds since 1970; None where a record has none."""
    return None if value is None or value < 0 else value / 1000
