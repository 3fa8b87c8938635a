"""Texts of products in templates, with what was searched for marked."""

from collections.abc import Iterable

from django import template
from django.contrib.messages.storage.base import Message
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from products.catalogue import highlighting

register = template.Library()


@register.filter
def highlight(text: str, words: Iterable[str]) -> SafeString:
    """`text` escaped, all that matches one of `words` in <mark>."""
    return mark_safe(
        "".join(
            f"<mark>{escape(piece)}</mark>" if matches else escape(piece)
            for piece, matches in highlighting.pieces(text, words)
        )
    )


@register.filter
def excerpt(text: str, words: Iterable[str]) -> str:
    """The part of a long `text` where the first of `words` is; goes before `highlight`."""
    return highlighting.excerpt(text, words)


@register.filter
def deletion(message: Message) -> int | None:
    """The id of the deletion that a message offers to undo, from its tag "undo-<id>"."""
    return _tagged(message, "undo")


@register.filter
def added(message: Message) -> int | None:
    """The id of the product that a message leads to, from its tag "added-<id>"."""
    return _tagged(message, "added")


def _tagged(message: Message, wanted: str) -> int | None:
    for tag in (message.extra_tags or "").split():
        name, _, number = tag.partition("-")
        if name == wanted and number.isdigit():
            return int(number)
    return None
