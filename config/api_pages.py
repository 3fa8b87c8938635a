"""Cursor pages of REST lists: as quick on the last page as on the first."""

from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request


class ById(CursorPagination):
    """Cursors hold a whole number; any other was not made here."""

    def decode_cursor(self, request: Request) -> Cursor | None:
        cursor = super().decode_cursor(request)
        position = cursor.position if cursor else None
        if position is not None and not (position.isascii() and position.isdigit()):
            raise NotFound(self.invalid_cursor_message)
        return cursor


class NewestFirst(ById):
    ordering = "-id"
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500


class ByLine(ById):
    ordering = "line"
    page_size = 100
    page_size_query_param = "page_size"
    max_page_size = 1000
