"""What the schema says of the tus protocol: its headers and its own status codes."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiTypes

from config.api_schema import refused

from .tus_errors import VERSION

WHOLE_NUMBER = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}


def _sent(name: str, type_: Any, description: str = "", **options: Any) -> OpenApiParameter:
    return OpenApiParameter(name, type_, "header", description=description, **options)


def _answered(name: str, type_: Any, *statuses: int, description: str = "") -> OpenApiParameter:
    return OpenApiParameter(
        name,
        type_,
        "header",
        response=[str(status) for status in statuses],
        description=description,
    )


RESUMABLE = _sent("Tus-Resumable", OpenApiTypes.STR, required=True, enum=[VERSION])
LENGTH = _sent("Upload-Length", WHOLE_NUMBER, "Bytes of the file.", required=True)
OFFSET = _sent("Upload-Offset", WHOLE_NUMBER, "Bytes stored so far.", required=True)
CHECKSUM = _sent("Upload-Checksum", OpenApiTypes.STR, "`sha1`, `sha256` or `md5`, and base64.")
METADATA = _sent(
    "Upload-Metadata",
    OpenApiTypes.STR,
    "tus metadata: `filename`, `fingerprint`, `encoding` (utf-8 or cp1252), `new_products` (active"
    " or inactive), `check_first` (true or false). Others are kept and left alone.",
)

LOCATION = _answered("Location", OpenApiTypes.URI, 201, description="Where the bytes go.")
EXPIRES = _answered(
    "Upload-Expires", OpenApiTypes.STR, 200, 201, 204, description="Gone on with until then."
)
IMPORT = _answered("Stockroom-Import", OpenApiTypes.INT, 201, description="The import's id.")
OFFSET_NOW = _answered("Upload-Offset", OpenApiTypes.INT64, 200, 204)
HEAD_ANSWER = [
    OFFSET_NOW,
    EXPIRES,
    _answered("Upload-Length", OpenApiTypes.INT64, 200),
    _answered("Upload-Metadata", OpenApiTypes.STR, 200),
]
TUS_ANSWER = [
    _answered(name, OpenApiTypes.STR, 204)
    for name in ("Tus-Version", "Tus-Max-Size", "Tus-Extension", "Tus-Checksum-Algorithm")
]

WRONG_VERSION = refused(_412=f"Send Tus-Resumable: {VERSION}.")
DELETED = {**WRONG_VERSION, **refused(_410="This upload was given up.")}


def created() -> dict[int, Any]:
    """Answers of a creation."""
    return {201: None, **WRONG_VERSION}


def patched() -> dict[int, Any]:
    """Answers of a PATCH."""
    return {
        204: None,
        **DELETED,
        **refused(
            _409="Upload-Offset is not where the upload is: ask by HEAD.",
            _411="Send Content-Length.",
            _460="The bytes do not match Upload-Checksum; none were kept.",
        ),
    }
