"""Log records as JSON, one object a line. Pure; used by settings.LOGGING and gunicorn_lines.py.

Only what is named here gets out. Django and Celery give records more (`extra`): the request, a
task's arguments. Those may hold secrets, and a formatter that takes them all would write them.
"""

import json
import logging
from datetime import UTC, datetime
from typing import Any

# Set by filters where they are known: config/request_log.py, config/celery.py.
IDS = ("request_id", "task", "task_id", "consumer")
# Collectors cut long lines (config/services/process.py at 64 KB), and half an object is none.
MESSAGE_CHARACTERS = 8_000
TRACE_CHARACTERS = 24_000


class JSONFormatter(logging.Formatter):
    """`timestamp` (UTC), `level`, `process`, `role`, `logger`, `message`; `exception`, `stack` and
    IDS where there are any."""

    def __init__(self, role: str) -> None:
        """`role` is that of this process (role.py)."""
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        found: dict[str, Any] = {
            "timestamp": at.replace("+00:00", "Z"),
            "level": record.levelname,
            "process": record.process,
            "role": self._role,
            "logger": record.name,
            "message": _bounded(record.getMessage(), MESSAGE_CHARACTERS),
        }
        found |= {name: getattr(record, name) for name in IDS if getattr(record, name, "")}
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            found["exception"] = _bounded(record.exc_text, TRACE_CHARACTERS)
        if record.stack_info:
            found["stack"] = _bounded(self.formatStack(record.stack_info), TRACE_CHARACTERS)
        return json.dumps(found)  # ASCII: nothing in it ends a line, whoever reads it


def note(role: str, logger: str, text: str) -> str:
    """The line of a `role` that says `text` without Python's logging."""
    record = logging.makeLogRecord({"name": logger, "levelname": "INFO", "msg": text})
    return JSONFormatter(role).format(record)


def _bounded(text: str, most: int) -> str:
    """`text`, without its middle where it is longer: an error's last line says what it is."""
    if len(text) <= most:
        return text
    left_out = len(text) - most
    return f"{text[: most // 2]} … {left_out} characters left out … {text[-(most // 2) :]}"
