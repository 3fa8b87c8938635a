"""The page for integrators: docs/webhooks.md, for who has no checkout."""

import re
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

SOURCE = settings.BASE_DIR / "docs" / "webhooks.md"
FOR_OPERATORS = "\n## For operators\n"


@require_safe
def guide(request: HttpRequest) -> HttpResponse:
    """How to receive webhooks, without what is for operators alone."""
    return render(request, "webhooks/guide.html", {"text": _text()})


@cache
def _text() -> SafeString:
    """HTML without the title. Our own file, so it is safe."""
    source = SOURCE.read_text().partition(FOR_OPERATORS)[0]
    reader = MarkdownIt("commonmark").enable("table")
    tokens = reader.parse(source.partition("\n")[2])
    for place, token in enumerate(tokens):
        if token.type == "heading_open":
            token.attrSet("id", _anchor(tokens[place + 1].content))
        elif token.type == "fence":
            token.attrSet("tabindex", "0")  # it scrolls, and not all have a mouse
        elif token.type == "inline":
            token.children = list(_without_files(token.children or []))
    return SafeString(reader.renderer.render(tokens, reader.options, {}))


def _anchor(heading: str) -> str:
    """What the text's own links call a heading, as code hosts do."""
    return re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-")


def _without_files(tokens: list[Token]) -> Any:
    """Links to other files of the repository lead nowhere from a page: their words stay."""
    dropped = False
    for token in tokens:
        if token.type == "link_open":
            address = str(token.attrGet("href"))
            dropped = not address.startswith(("#", "https://"))
        if token.type in ("link_open", "link_close") and dropped:
            continue
        yield token
