"""The request that tells an endpoint of an event: its body and headers.

Pure. Used by the engine; check_header by the endpoints' fields.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from webhooks.signing import signature

if TYPE_CHECKING:  # it comes from the module that talks to the network
    from .sender import Answer

USER_AGENT = "Stockroom-Webhooks/1"
REQUEST_ID = "x-request-id"
HIDDEN = "•••"
HIDDEN_FROM_CHARACTERS = 6  # of a value in an answer: "true" or "7" are no secrets
NAME_CHARACTERS = 100
VALUE_CHARACTERS = 1_000

# What we set ourselves, here and in sender.py, and what belongs to the connection
# (RFC 9110 7.6.1, RFC 9112).
RESERVED = frozenset(
    (
        "accept",
        "accept-encoding",  # the answer is kept as it comes
        "connection",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    )
)
RESERVED_PREFIXES = ("content-", "proxy-", "webhook-")

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 5.6.2
# RFC 9110 5.5 asks for ASCII; other bytes are read differently by different receivers.
VISIBLE = re.compile(r"[!-~](?:[ -~]*[!-~])?")


def body(type: str, occurred_at: datetime, data: Mapping[str, Any]) -> bytes:
    """The message in JSON; the same arguments give the same bytes."""
    at = occurred_at.astimezone(UTC).isoformat(timespec="microseconds")
    message = {"type": type, "timestamp": at.replace("+00:00", "Z"), "data": data}
    return json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def headers(
    webhook_id: str,
    at: datetime,
    body: bytes,
    secrets: Sequence[str],
    custom: Mapping[str, str],
    test: bool,
    request_id: str = "",
) -> dict[str, str]:
    """The headers of an attempt that begins at `at`, but those of the connection.

    `custom` are the endpoint's own; reserved ones among them are left out. `request_id` is that of
    the request that caused the event, "" where there was none: not signed, and an endpoint's own
    header of that name wins.
    """
    own = {
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature(secrets, webhook_id, at, body),
    }
    if test:
        own["webhook-test"] = "true"
    if request_id and REQUEST_ID not in {name.lower() for name in custom}:
        own[REQUEST_ID] = request_id
    return own | {name: value for name, value in custom.items() if not reserved(name)}


def shown(headers: Mapping[str, str], custom_names: Iterable[str]) -> dict[str, str]:
    """The headers as an attempt keeps them: without the values of custom ones."""
    hidden = {name.lower() for name in custom_names}
    return {
        name: HIDDEN if name.lower() in hidden and not reserved(name) else value
        for name, value in headers.items()
    }


def without(answer: "Answer", values: Iterable[str]) -> "Answer":
    """The answer where each of these confidential values is hidden; very short ones stay."""
    body, headers = answer.body, dict(answer.headers)
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= HIDDEN_FROM_CHARACTERS:
            body = body.replace(value, HIDDEN)
            headers = {name: text.replace(value, HIDDEN) for name, text in headers.items()}
    return replace(answer, body=body, headers=headers)


def reserved(name: str) -> bool:
    """Whether an endpoint may not have this header as its own."""
    return name.lower() in RESERVED or name.lower().startswith(RESERVED_PREFIXES)


def check_header(name: str, value: str) -> str:
    """Why this can't be an endpoint's own header, in words; "" where it can."""
    if not name:
        return "A header needs a name."
    if len(name) > NAME_CHARACTERS:
        return f"A header's name has at most {NAME_CHARACTERS} characters."
    if not TOKEN.fullmatch(name):
        return "A header's name has letters without accents, digits, and - or _, without spaces."
    if reserved(name):
        return f"{name} is set by Stockroom or by the connection. Choose another name."
    if not value:
        return f"{name} needs a value."
    if len(value) > VALUE_CHARACTERS:
        return f"The value of {name} has at most {VALUE_CHARACTERS:,} characters."
    if not VISIBLE.fullmatch(value):
        return (
            f"The value of {name} has letters without accents, digits, signs and spaces,"
            " on one line, without a space at its start or end."
        )
    return ""
