"""Cursor pages of REST lists: as quick on the last page as on the first."""

import base64
import hashlib
import re
from typing import Any
from urllib.parse import urlsplit

from rest_framework.exceptions import ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.utils.urls import replace_query_param

CURSOR = re.compile(r"([0-9a-f]{8})([nr])([0-9]{0,3})\.([0-9]{0,18})")
BAD_CURSOR = "This cursor was not made by this list. Take `next` or `previous` of one of its pages."


def page_size(text: str | None, *, default: int, most: int) -> int:
    """The page size asked for. Raises ValidationError for anything but 1 to `most`."""
    if text is None:
        return default
    size = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not 1 <= size <= most:
        raise ValidationError({"page_size": [f"Must be a whole number from 1 to {most}."]})
    return size


def bad_cursor() -> ValidationError:
    """The refusal of a cursor that leads nowhere."""
    return ValidationError({"cursor": [BAD_CURSOR]})


class ById(CursorPagination):
    """Cursors hold the list they were made by, a direction and a whole number."""

    page_size_query_param = "page_size"

    def get_page_size(self, request: Request) -> int:
        given = request.query_params.get(self.page_size_query_param)
        return page_size(given, default=type(self).page_size, most=self.max_page_size)

    def encode_cursor(self, cursor: Cursor) -> str:
        """The page's absolute address with `cursor` in it."""
        mark = _mark(urlsplit(self.base_url).path)
        text = f"{mark}{'r' if cursor.reverse else 'n'}{cursor.offset}.{cursor.position or ''}"
        encoded = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
        return replace_query_param(self.base_url, self.cursor_query_param, encoded)

    def decode_cursor(self, request: Request) -> Cursor | None:
        encoded = request.query_params.get(self.cursor_query_param)
        if encoded is None:
            return None
        try:
            padded = encoded.encode("ascii") + b"=" * (-len(encoded) % 4)
            text = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")
        except ValueError:
            raise bad_cursor() from None
        found = CURSOR.fullmatch(text)
        if found is None or found[1] != _mark(request.path):
            raise bad_cursor()
        return Cursor(int(found[3] or 0), found[2] == "r", found[4] or None)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return page_parameters(type(self).page_size, self.max_page_size)

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return page_schema(schema)


class NewestFirst(ById):
    ordering = "-id"
    page_size = 50
    max_page_size = 500


class ByLine(ById):
    ordering = "line"
    page_size = 100
    max_page_size = 1000


def page_parameters(default: int, most: int) -> list[dict[str, Any]]:
    """The OpenAPI parameters of a paged list."""
    return [
        {
            "name": "cursor",
            "in": "query",
            "required": False,
            "description": "Where the page begins: follow `next` and `previous` as they are.",
            "schema": {"type": "string"},
        },
        {
            "name": "page_size",
            "in": "query",
            "required": False,
            "schema": {"type": "integer", "minimum": 1, "maximum": most, "default": default},
        },
    ]


def page_schema(rows: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI schema of a page of `rows`."""
    link = {"type": "string", "format": "uri", "nullable": True, "example": None}
    return {
        "type": "object",
        "required": ["next", "previous", "results"],
        "properties": {"next": link, "previous": dict(link), "results": rows},
    }


def _mark(path: str) -> str:
    """Of the list that a cursor belongs to; `page_size` and the like may differ."""
    return hashlib.blake2s(path.encode(), digest_size=4).hexdigest()
