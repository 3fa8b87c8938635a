"""JSON with numbers as they are written: a float would change 0.10 and the last of 18 digits.

Views of prices and of the ledger name the renderer, and wrap what is JSON already in Written.
"""

import re
import secrets
from typing import Any

from rest_framework.renderers import JSONRenderer
from rest_framework.utils.encoders import JSONEncoder

MARKED = re.compile(r'"([0-9a-f]{32}):([0-9]+)"')


class Written:
    """A text that is JSON."""

    def __init__(self, text: str) -> None:
        self.text = text


class _Encoder(JSONEncoder):
    def encode(self, o: Any) -> str:
        # Nobody can have put this mark into a text.
        self._mark, self._texts = secrets.token_hex(16), list[str]()
        text = super().encode(o)
        return MARKED.sub(self._written, text) if self._texts else text

    def _written(self, found: re.Match[str]) -> str:
        return self._texts[int(found[2])] if found[1] == self._mark else found[0]

    def default(self, obj: Any) -> Any:
        if not isinstance(obj, Written):
            return super().default(obj)
        self._texts.append(obj.text)
        return f"{self._mark}:{len(self._texts) - 1}"


class ExactRenderer(JSONRenderer):
    """JSONRenderer that puts in what is Written."""

    encoder_class = _Encoder
