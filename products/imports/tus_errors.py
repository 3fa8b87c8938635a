"""How the tus protocol says no: its own status codes, in our one JSON shape of errors."""

from rest_framework import status
from rest_framework.exceptions import APIException

VERSION = "1.0.0"


class Malformed(APIException):
    """A header can't be read; the answer names it as its field."""

    status_code = status.HTTP_400_BAD_REQUEST
    default_code = "invalid"

    def __init__(self, header: str, message: str) -> None:
        super().__init__(f"{header}: {message}")
        self.fields = {header: [message]}


class WrongVersion(APIException):
    status_code = status.HTTP_412_PRECONDITION_FAILED
    default_code = "tus_version"
    default_detail = f"Send the header Tus-Resumable: {VERSION}."


class Conflict(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_code = "wrong_offset"


class Gone(APIException):
    status_code = status.HTTP_410_GONE
    default_code = "upload_gone"


class TooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"


class LengthRequired(APIException):
    status_code = status.HTTP_411_LENGTH_REQUIRED
    default_code = "length_required"
    default_detail = "Send Content-Length; chunked transfer is not supported."


class ChecksumMismatch(APIException):
    status_code = 460  # the tus checksum extension's own code
    default_code = "checksum_mismatch"
    default_detail = "The bytes do not match Upload-Checksum; none of them were kept."
