"""The JSON parser of all API views. Named by REST_FRAMEWORK in the settings."""

import io
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from rest_framework import parsers
from rest_framework.exceptions import ParseError, ValidationError

# JSON can hold half a pair ("\ud800"), which is no character: no database or answer takes it.
ESCAPED_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
HALF = re.compile("[\ud800-\udfff]")
NAMED_AT_MOST = 20  # places that an answer names


class JSONParser(parsers.JSONParser):
    def parse(self, stream: Any, *args: Any, **kwargs: Any) -> Any:
        """Python's parser calls itself for each level, so deep nesting is an error of its own."""
        body = stream.read()
        try:
            parsed = super().parse(io.BytesIO(body), *args, **kwargs)
            if ESCAPED_HALF.search(body):
                _refuse_halves(parsed)
        except RecursionError:
            raise ParseError("JSON parse error: nested too deeply.") from None
        return parsed


def _refuse_halves(parsed: Any) -> None:
    wrong = {
        ".".join(HALF.sub("\ufffd", name) for name in path): [
            "Remove the half character (\\ud800 to \\udfff) in it."
        ]
        for path in islice(_with_halves(parsed), NAMED_AT_MOST)
    }
    if wrong:
        raise ValidationError(wrong)


def _with_halves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths to all strings and names that hold one."""
    if isinstance(value, str):
        if HALF.search(value):
            yield path
    elif isinstance(value, dict):
        for name, inner in value.items():
            if HALF.search(name):
                yield (*path, name)
            yield from _with_halves(inner, (*path, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _with_halves(inner, (*path, str(place)))
