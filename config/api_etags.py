"""ETags of the API: `If-Match` against lost updates, `If-None-Match` against needless bytes.

RFC 9110, section 13. A version is what stands between the quotes.
"""

import re
from http import HTTPStatus

from rest_framework.exceptions import APIException, ValidationError
from rest_framework.request import Request

TAG = r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"'
TAGS = re.compile(rf"\s*(?:\*|{TAG}(?:\s*,\s*{TAG})*)\s*")
ANY = "*"
MAX_CHARACTERS = 4_000


class Stale(APIException):
    """If-Match names another version than the present one, which the answer's ETag has."""

    status_code = HTTPStatus.PRECONDITION_FAILED
    default_code = "stale"

    def __init__(self, version: str) -> None:
        super().__init__(
            "This was changed since you read it. Read it again, and repeat the change with the"
            " ETag of this answer in If-Match if it is still wanted."
        )
        self.headers = {"ETag": etag(version)}


def etag(version: str) -> str:
    return f'"{version}"'


def wanted_version(request: Request, present: str) -> str | None:
    """The version that `If-Match` asks for; None where any will do.

    `present` is the version as just read; of several tags it is the one that counts. Weak tags
    never match (section 13.1.1). Raises Stale, and ValidationError for what is no list of tags.
    """
    tags = _tags(request, "If-Match")
    if tags is None or tags == ANY:
        return None
    strong = [version for weak, version in tags if not weak]
    if present not in strong:
        raise Stale(present)
    return present


def is_known(request: Request, present: str) -> bool:
    """Whether `If-None-Match` says that the client has this version already."""
    tags = _tags(request, "If-None-Match")
    if tags is None:
        return False
    return tags == ANY or any(version == present for _, version in tags)


def _tags(request: Request, header: str) -> list[tuple[str, str]] | str | None:
    given = request.headers.get(header)
    if given is None:
        return None
    if len(given) > MAX_CHARACTERS or TAGS.fullmatch(given) is None:
        raise ValidationError({header: ["Send the ETag of an answer with its quotes, or *."]})
    if given.strip() == ANY:
        return ANY
    return re.findall(TAG, given)
