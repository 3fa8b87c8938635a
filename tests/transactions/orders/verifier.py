"""A real verifier of users for tests, as good or bad as the user's name or a script says.

    with VerifierService({"user2": status(500)}) as service:
        ...                                    # VERIFIER_URL=service.url
        service.users()                        # who was asked for, in the order of the questions

A user without an entry in the script is answered by what follows the hyphen of the name (`BY_NAME`:
user7-refused, user8-hangs), all others are verified. What else answers may be is in
tests/webhooks/receiver.py.
"""

import json
from collections.abc import Mapping
from typing import Any

import trustme

from tests.webhooks.receiver import (
    Answer,
    Answers,
    Received,
    Receiver,
    as_answer,
    chosen,
    close_early,
    drip,
    garbage,
    hang,
    hang_in_body,
    huge,
    reset,
    status,
)

REFUSAL = "Not one of our customers."


def says(document: Any, code: int = 200) -> Answer:
    """An answer in JSON."""
    return status(code, json.dumps(document), {"content-type": "application/json"})


VERIFIED = says({"verified": True})
BY_NAME: Mapping[str, Answers] = {
    "verified": VERIFIED,
    "refused": says({"verified": False, "reason": REFUSAL}),
    "500": status(500, "out of order"),
    "403": says({"verified": True}, 403),
    "text": status(200, "verified"),
    "garbage": garbage(),
    "hangs": hang(),
    "halfway": hang_in_body(200, b'{"verified": tru'),
    "huge": huge(),
    "drips": drip(),
    "headless": drip(in_head=True),
    "closes": close_early(),
    "breaks": close_early(b'HTTP/1.1 200 OK\r\ncontent-length: 18\r\n\r\n{"verified": '),
    "resets": reset(),
    "redirects": status(307, headers={"location": "/elsewhere"}),
}


class VerifierService(Receiver):
    """Answers on 127.0.0.1; `port`, `tls` and `host` as for a Receiver."""

    def __init__(
        self,
        script: Mapping[str, Answers] | None = None,
        *,
        tls: trustme.LeafCert | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """`script`: answers by user."""
        self.script = dict(script or {})
        super().__init__(chosen(self._choose), tls=tls, host=host, port=port)

    def users(self) -> list[str]:
        """Asked for so far."""
        return [_asked(request) for request in self.requests]

    def _choose(self, request: Received) -> Answers:
        user = _asked(request)
        if user not in self.script:
            return BY_NAME.get(user.partition("-")[2], VERIFIED)
        answer = self.script[user]
        if not callable(answer):  # a list's answers are given one after the other
            answer = self.script[user] = as_answer(answer)
        return answer


def _asked(request: Received) -> str:
    return str(json.loads(request.body)["user"])
