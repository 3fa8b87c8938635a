"""Sessions in the database, asked only for keys that can be there. Named by SESSION_ENGINE."""

import re

from django.contrib.sessions.backends import db

KEY = re.compile(r"[a-z0-9]{8,64}")  # Django's own have 32 of these


class SessionStore(db.SessionStore):
    def _validate_session_key(self, key: str | None) -> bool:
        """Whether a cookie's `key` may be looked up: PostgreSQL fails on a NUL in it."""
        return bool(key and KEY.fullmatch(key))
