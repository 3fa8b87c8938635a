"""Gunicorn's own lines as LOG_FORMAT says, and uvicorn's, which takes gunicorn's handlers.

Called by config/web_worker.py in gunicorn's first process. That one loads no settings, so that
workers read them anew when it starts others (SIGHUP). LOG_FORMAT is read as environment.py does.
"""

import logging
import os
from pathlib import Path

from config.request_log import RequestIdFilter
from config.services import env_file

from .json_lines import JSONFormatter

PROJECT = Path(__file__).resolve().parents[2]


def set_up() -> None:
    """Have gunicorn's handlers write JSON, if that is wanted. May be called again."""
    if _wanted_format() != "json":
        return
    for name in ("gunicorn.error", "gunicorn.access"):
        for handler in logging.getLogger(name).handlers:
            handler.setFormatter(JSONFormatter("web"))
            handler.addFilter(RequestIdFilter())


def _wanted_format() -> str:
    given = os.environ.get("LOG_FORMAT")
    if given is None:
        given = env_file.read(PROJECT / ".env").get("LOG_FORMAT")
    return given or "line"
