"""Endpoints in templates: `{% load endpoints %}{{ glance|quantiles }}`."""

from datetime import UTC, datetime

from django import template
from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.html import format_html
from django.utils.safestring import SafeString

from webhooks.deliveries import words
from webhooks.endpoints.statistics import COUNTED_AT_MOST, LAST_ATTEMPTS, Glance

register = template.Library()
register.filter("milliseconds", words.duration)


@register.filter
def quantiles(glance: Glance) -> str:
    """ "120 / 480 ms": the unit once where both have the same."""
    if glance.p50_ms is None or glance.p95_ms is None:
        return "–"
    half, most = words.duration(glance.p50_ms), words.duration(glance.p95_ms)
    number, unit = half.split()
    return f"{number} / {most}" if most.endswith(f" {unit}") else f"{half} / {most}"


@register.simple_tag
def answer_times() -> str:
    """What the two times of `quantiles` mean."""
    return (
        f"Time until the answer, of its last {LAST_ATTEMPTS} attempts, without tests and as far as"
        " an answer came: half of the answers took at most the first time (p50), 95 of 100 at most"
        " the second (p95)"
    )


@register.filter
def counted(number: int) -> str:
    """ "1,234", or "10,000+" where counting stopped."""
    return f"{intcomma(number)}{'+' if number >= COUNTED_AT_MOST else ''}"


@register.filter
def status_words(status_code: int) -> str:
    """ "503 Service Unavailable"."""
    return words.answer(status_code, "")


@register.filter
def local(at: datetime, style: str = "") -> SafeString:
    """`at` in the reader's zone, as templates/time.html, but with no line end behind it."""
    utc = at.astimezone(UTC)
    shown = f"{utc.day} {utc:%b %Y, %H:%M} UTC"
    return format_html(
        '<time datetime="{}" data-local="{}">{}</time>', utc.isoformat(), style, shown
    )


@register.filter
def address(url: str) -> str:
    """A URL as lists show it: https goes without saying."""
    return url.removeprefix("https://")
