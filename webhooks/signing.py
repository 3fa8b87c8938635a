"""Signatures of Standard Webhooks 1.0.0 (https://www.standardwebhooks.com).

Pure but for new_secret(). Used by engine/message.py, and where secrets are made.
"""

import base64
import secrets as randomness
from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook

SECRET_BYTES = 32  # the specification: 24 to 64


def new_secret() -> str:
    """A random key, as the libraries take it: "whsec_" and base64."""
    return "whsec_" + base64.b64encode(randomness.token_bytes(SECRET_BYTES)).decode()


def signature(secrets: Sequence[str], webhook_id: str, at: datetime, body: bytes) -> str:
    """The `webhook-signature` of `body` (UTF-8), sent at `at` (aware): one for each secret.

    A receiver that has any of them finds its own. ValueError without a secret.
    """
    if not secrets:
        raise ValueError("A message needs a secret to be signed with.")
    # The library takes the clock's reading for UTC, whatever its zone.
    sent, text = at.astimezone(UTC), body.decode()
    return " ".join(Webhook(secret).sign(webhook_id, sent, text) for secret in secrets)
