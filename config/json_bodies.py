"""The JSON parser of all API views. Named by REST_FRAMEWORK in the settings."""

from typing import Any

from rest_framework import parsers
from rest_framework.exceptions import ParseError


class JSONParser(parsers.JSONParser):
    def parse(self, *args: Any, **kwargs: Any) -> Any:
        """Python's parser calls itself for each level, so deep nesting is an error of its own."""
        try:
            return super().parse(*args, **kwargs)
        except RecursionError:
            raise ParseError("JSON parse error: nested too deeply.") from None
