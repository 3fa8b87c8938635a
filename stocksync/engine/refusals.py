"""Why an event is refused: the codes, and the exception that carries one."""

NOT_UTF8 = "not_utf8"
TOO_LONG = "too_long"
MALFORMED = "malformed"
DUPLICATE_KEY = "duplicate_key"
MISSING_FIELD = "missing_field"
WRONG_TYPE = "wrong_type"
NEGATIVE = "negative"
TOO_LARGE = "too_large"
UNKNOWN_TYPE = "unknown_type"
DUPLICATE_ID = "duplicate_id"
OWN_PARENT = "own_parent"
PARENT_IS_CHILD = "parent_is_child"
WAITING_FULL = "waiting_full"
NEVER_CREATED = "never_created"


class Refused(Exception):
    """An event that is not applied. `code` is for programs, `reason` for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
