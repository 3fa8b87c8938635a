"""The header Upload-Metadata of tus: a file's name and the choices of its import.

Used by tus.py.
"""

import base64
import binascii

from . import uploads
from .tus_errors import Malformed

CHARACTERS = 8_192  # HEAD echoes it, and clients read header lines up to about this
CHECK_FIRST = {"": False, "false": False, "true": True}
NEW_PRODUCTS = {"": True, "active": True, "inactive": False}
HEADER = "Upload-Metadata"


def read(header: str) -> dict[str, str]:
    """tus metadata: comma-separated `key base64(value)` pairs; Malformed otherwise."""
    if len(header) > CHARACTERS:
        raise Malformed(HEADER, f"Longer than {CHARACTERS:,} characters.")
    metadata = {}
    for pair in filter(None, (part.strip() for part in header.split(","))):
        key, _, value = pair.partition(" ")
        try:
            metadata[key] = base64.b64decode(value, validate=True).decode()
            if "\0" in metadata[key]:
                raise ValueError("NUL")
        except (binascii.Error, ValueError):
            raise Malformed(HEADER, f"{key[:40]!r} is not base64 of UTF-8 text.") from None
    return metadata


def written(metadata: dict[str, str]) -> str:
    """The header that `read` takes."""
    return ",".join(
        f"{key} {base64.b64encode(value.encode()).decode()}".strip()
        for key, value in metadata.items()
    )


def options(metadata: dict[str, str]) -> uploads.ImportOptions:
    """What it says of the import; Malformed for a value that is not known."""
    return uploads.ImportOptions(
        encoding=metadata.get("encoding", "utf-8"),
        new_products_active=_one_of(NEW_PRODUCTS, metadata, "new_products"),
        check_first=_one_of(CHECK_FIRST, metadata, "check_first"),
    )


def _one_of(values: dict[str, bool], metadata: dict[str, str], key: str) -> bool:
    try:
        return values[metadata.get(key, "").lower()]
    except KeyError:
        known = ", ".join(filter(None, values))
        raise Malformed(HEADER, f"{key} must be one of {known}.") from None
