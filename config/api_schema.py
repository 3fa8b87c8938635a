"""The OpenAPI schema: what drf-spectacular finds, and what all operations have in common.

`Schema` is DRF's schema class, `Generator` and `finish` are named by SPECTACULAR_SETTINGS. Each
operation gets its tag, the errors that can happen to it, and the headers of rate limits.
"""

from typing import Any

from drf_spectacular.generators import EndpointEnumerator, SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, OpenApiTypes
from rest_framework import serializers

JSON = "application/json"


class OtherSerializer(serializers.Serializer):
    """What stands in the way."""

    id = serializers.IntegerField()
    url = serializers.URLField()


class ErrorDetailSerializer(serializers.Serializer):
    code = serializers.CharField(help_text="For programs; stays the same.")
    message = serializers.CharField(help_text="For people: what to do.")
    fields = serializers.DictField(  # type: ignore[assignment]
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text='What is wrong by field, parameter or header; nested ones by path: "ids.3".',
    )
    other = OtherSerializer(required=False)


class ErrorSerializer(serializers.Serializer):
    """The one shape of all errors."""

    error = ErrorDetailSerializer()


REASONS = {
    400: "Something in the request is wrong; `fields` says what.",
    401: "No API token or session, or one that is not valid.",
    403: "The token lacks the scope, or its owner the role; the message names it.",
    404: "There is nothing with this id.",
    406: "Accept leaves out application/json.",
    409: "Not possible in the present state.",
    410: "It was there and is gone for good.",
    412: "`If-Match` names another version than the present one, which `ETag` has.",
    413: "The body is too large.",
    415: "The body's Content-Type is not one that is taken here.",
    429: "Too many requests of this token in this minute; `Retry-After` says when to come back.",
    503: "A part of the server is away or busy; `Retry-After` says when to come back.",
}
EXAMPLES: dict[int, dict[str, Any]] = {
    400: {
        "code": "invalid",
        "message": "Correct these fields: name.",
        "fields": {"name": ["Enter a name."]},
    },
    401: {"code": "not_authenticated", "message": "Send an API token as `Authorization: …`."},
    403: {
        "code": "permission_denied",
        "message": "This API token lacks the scope …",
    },
    412: {"code": "stale", "message": "This was changed since you read it. Read it again, …"},
    429: {"code": "throttled", "message": "Too many requests. Try again in 12 s."},
}
HEADERS: dict[str, dict[str, Any]] = {
    "RateLimit-Limit": {
        "description": "Requests that the token may make in a minute.",
        "schema": {"type": "integer"},
    },
    "RateLimit-Remaining": {
        "description": "Requests left in this minute.",
        "schema": {"type": "integer"},
    },
    "RateLimit-Reset": {
        "description": "Seconds until the minute ends.",
        "schema": {"type": "integer"},
    },
    "Retry-After": {
        "description": "Seconds to wait before the request is repeated.",
        "schema": {"type": "integer"},
    },
    "WWW-Authenticate": {"schema": {"type": "string"}},
}
RATE_HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
EXTRA_HEADERS = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}
BODY_METHODS = ("POST", "PUT", "PATCH")

ETAG = OpenApiParameter(
    "ETag",
    OpenApiTypes.STR,
    "header",
    response=["200", "201", "304", "412"],
    description='The version, with its quotes: `"5f1c…"`.',
)
LOCATION = OpenApiParameter(
    "Location",
    OpenApiTypes.URI,
    "header",
    response=["201", "202", "204"],
    description="Where it is.",
)
TAG_LIST = r'^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$'
IF_MATCH = OpenApiParameter(
    "If-Match",
    OpenApiTypes.STR,
    "header",
    pattern=TAG_LIST,
    description="The ETag that you read: do it only if nobody has changed it since.",
)
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match",
    OpenApiTypes.STR,
    "header",
    pattern=TAG_LIST,
    description="The ETag that you have: 304 if it is still the present one.",
)


def refused(**reasons: str) -> dict[int, OpenApiResponse]:
    """Errors of one operation: `refused(_409="A merge goes on.")`, as part of `responses`."""
    return {
        int(status.strip("_")): OpenApiResponse(ErrorSerializer, description=reason)
        for status, reason in reasons.items()
    }


class Schema(AutoSchema):
    """One operation. Views give `schema_tag`, the name of its group."""

    method_mapping = {**AutoSchema.method_mapping, "head": "head", "options": "options"}

    def get_tags(self) -> list[str]:
        return [getattr(self.view, "schema_tag", "Other")]

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        for status in self._general_errors(operation):
            operation["responses"].setdefault(str(status), self._error(status))
        for status, response in operation["responses"].items():
            names = (*self._rate_headers(), *EXTRA_HEADERS.get(int(status), ()))
            headers = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
            response["headers"] = {**response.get("headers", {}), **headers}
            if self.method == "HEAD":
                response.pop("content", None)
        operation["responses"] = dict(sorted(operation["responses"].items()))
        return operation

    def _general_errors(self, operation: dict[str, Any]) -> list[int]:
        errors = [400, 401, 403, 406, 429, 503]
        given = {
            (parameter["in"], parameter["name"]) for parameter in operation.get("parameters", [])
        }
        if any(place == "path" for place, _ in given):
            errors.append(404)
        if ("header", "If-Match") in given:
            errors.append(412)
        if self.method in BODY_METHODS:
            errors += [413, 415]
        return errors

    def _error(self, status: int) -> dict[str, Any]:
        media: dict[str, Any] = {"schema": self.resolve_serializer(ErrorSerializer, "response").ref}
        if status in EXAMPLES:
            media["example"] = {"error": EXAMPLES[status]}
        return {"description": REASONS[status], "content": {JSON: media}}

    def _rate_headers(self) -> tuple[str, ...]:
        free = self.method in getattr(self.view, "uncounted_methods", ())
        return () if free else RATE_HEADERS


class Endpoints(EndpointEnumerator):
    """HEAD and OPTIONS too, where a protocol gives them a meaning (`documented_methods`)."""

    def get_allowed_methods(self, callback: Any) -> list[str]:
        more = getattr(callback.cls, "documented_methods", ())
        return [*super().get_allowed_methods(callback), *more]


class Generator(SchemaGenerator):
    endpoint_inspector_cls = Endpoints


def finish(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Postprocessing hook: the headers that all share, and the streams, which are not DRF's."""
    result["components"]["headers"] = HEADERS
    error = {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
    result["paths"]["/events/{channel}/"] = {
        "get": {
            "operationId": "events_follow",
            "summary": "Follow a job live",
            "description": (
                "Server-sent events. `snapshot` has the job's state, the same JSON as its own"
                " address without its URLs; at most a few come in a second."
                " Nothing is stored: read the state when the stream opens, and again on"
                " `stream-reset`. Streams end after some minutes; open them again."
            ),
            "tags": ["Live"],
            "security": [{"apiToken": []}, {"cookieAuth": []}],
            "parameters": [
                {
                    "name": "channel",
                    "in": "path",
                    "required": True,
                    "description": (
                        "`imports`, `import-7`, `bulk-7`, `stocksync-7` or `order-3f1c…`; take"
                        " `events_url` of a job or an order. `sales`, `prices`, `ledger` and"
                        " `orders` only say when there is something new (`at`)."
                    ),
                    "schema": {
                        "type": "string",
                        "pattern": (
                            "^(imports|sales|prices|ledger|orders"
                            "|(import|bulk|stocksync)-[0-9]{1,18}|order-[0-9a-f-]{36})$"
                        ),
                    },
                }
            ],
            "responses": {
                "200": {
                    "description": "Goes on until either side ends it.",
                    "content": {
                        "text/event-stream": {
                            "schema": {"type": "string"},
                            "example": 'event: snapshot\ndata: {"id": 7, "state": "merging"}\n\n',
                        }
                    },
                },
                **{
                    str(status): {"description": REASONS[status], "content": error}
                    for status in (400, 401, 403, 404, 503)
                },
            },
        }
    }
    return result
