"""The rejects file: a JSON line for each event that was refused, with its place and reason."""

import json

from .events import LINE_BYTES


def reject(line: int, code: str, reason: str, raw: bytes) -> str:
    """The line of one refused event; bytes that are not UTF-8 are shown as \\xNN."""
    fields = {"line": line, "code": code, "reason": reason, "raw": text(raw)}
    return json.dumps(fields) + "\n"


def text(raw: bytes) -> str:
    """A line as text, whatever its bytes are; of longer ones the first LINE_BYTES."""
    if raw.endswith(b"\r"):
        raw = raw[:-1]
    return raw[:LINE_BYTES].decode("utf-8", "backslashreplace")
