"""Keys that others chose, in templates: `{% for name, value in headers|pairs %}`."""

from collections.abc import Mapping
from typing import Any

from django import template

register = template.Library()


@register.filter
def pairs(mapping: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Its keys with their values. `mapping.items` in a template is the value of the key "items"."""
    return list(mapping.items())
