"""`Idempotency-Key` of views that make something: a repeated request acts once.

    def post(self, request):
        return once(request, "orders.create", lambda: self._create(request))

The key's row is inserted in the transaction in which the view acts, so either both are there or
neither. A second request with the key waits at the row for the first one's commit and then gets
its answer. A failed request leaves nothing, and its key is free again.
"""

import hashlib
import json
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.db import connection, transaction
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from config.exact_json import ExactRenderer

from .models import GivenAnswer

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
KEY = re.compile(r"[\x20-\x7e]{1,255}")
KEPT_HEADERS = ("Location", "ETag")
WAIT_SECONDS = 10  # for the first of two; then 503, and the client repeats it
TRIES = 3

PARAMETER = OpenApiParameter(
    HEADER,
    OpenApiTypes.STR,
    "header",
    pattern="^[ -~]{1,255}$",
    description=(
        "Your name for this request, e.g. a UUID. Sent again with the same body it acts no second"
        " time and gets the first answer, with `Idempotent-Replayed: true`. Kept for a day."
    ),
)

# In one round trip. The time to wait for another transaction is that of this statement alone: what
# the view does has its own, which is set again as soon as there is a row.
INSERT = f"""
SELECT set_config('stockroom.lock_timeout', current_setting('lock_timeout'), true),
    set_config('lock_timeout', '{WAIT_SECONDS}s', true);
WITH made AS (
    INSERT INTO idempotency_givenanswer (owner_id, operation, key, request_digest, headers)
    VALUES (%s, %s, %s, %s, '{{}}') ON CONFLICT (owner_id, operation, key) DO NOTHING RETURNING id
)
SELECT id, set_config('lock_timeout', current_setting('stockroom.lock_timeout'), true) FROM made
"""


class KeyUsed(APIException):
    """The key stands for another request."""

    status_code = HTTPStatus.CONFLICT
    default_code = "idempotency_conflict"
    default_detail = (
        f"This {HEADER} was used for a request with another body. Use a key of its own for each"
        " new request."
    )


def once(request: Request, operation: str, act: Callable[[], Response]) -> Response | HttpResponse:
    """The answer of `act`, or the one given before to the request's key.

    `operation` ("products.create") and the user bound what a key stands for. `act` may raise, or
    answer with 4xx or 5xx: then nothing it did is kept. Raises KeyUsed, and ValidationError for a
    key that is none. Without the header it is just `act()`.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return act()
    if KEY.fullmatch(key) is None:
        raise ValidationError({HEADER: ["Send 1 to 255 printable ASCII characters."]})
    digest = _digest(request.data)
    for _ in range(TRIES):
        with transaction.atomic():
            answer_id = _insert(request.user.pk, operation, key, digest)
            if answer_id is not None:
                response = act()
                if response.status_code >= HTTPStatus.BAD_REQUEST:
                    transaction.set_rollback(True)
                    return response
                return _keep(answer_id, response)
        given = GivenAnswer.objects.filter(owner=request.user, operation=operation, key=key).first()
        if given is not None:
            return _again(given, digest)
    raise KeyUsed  # swept between the two statements, three times: hardly


def _insert(owner_id: int, operation: str, key: str, digest: str) -> int | None:
    """The new row's id, or None where the key is taken. Waits for a request that is taking it."""
    with connection.cursor() as cursor:
        cursor.execute(INSERT, [owner_id, operation, key, digest])
        row = cursor.fetchone()
    return None if row is None else row[0]


def _keep(answer_id: int, response: Response) -> HttpResponse:
    """Keep the body as it is sent, byte for byte: PostgreSQL would sort a JSON object's names."""
    body = ExactRenderer().render(response.data).decode()
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    GivenAnswer.objects.filter(pk=answer_id).update(
        status=response.status_code, body=body, headers=headers
    )
    return _answer(response.status_code, body, headers)


def _again(given: GivenAnswer, digest: str) -> HttpResponse:
    if given.request_digest != digest:
        raise KeyUsed
    return _answer(given.status, given.body, {**given.headers, REPLAYED: "true"})


def _answer(status: int | None, body: str, headers: dict[str, str]) -> HttpResponse:
    return HttpResponse(body, status=status, content_type="application/json", headers=headers)


def _digest(data: Any) -> str:
    """Of the parsed body: blanks and the order of names make no other request."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
