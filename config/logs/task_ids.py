"""Hands a request's id on to the tasks that it causes, and by these to their tasks.

config/celery.py connects these to Celery's signals.
"""

from contextvars import Token
from typing import Any

from celery import Task

from config.request_log import request_id

HEADER = "request_id"  # of a task's message

_before: dict[str, Token[str]] = {}
"""What the contexts of running tasks had before, by the task's id."""


def give(headers: dict[str, Any], **_: Any) -> None:
    found = request_id.get()
    if found:
        headers.setdefault(HEADER, found)


def take(task_id: str, task: Task, **_: Any) -> None:
    given = task.request.get(HEADER)
    _before[task_id] = request_id.set(given if isinstance(given, str) else "")


def leave(task_id: str, **_: Any) -> None:
    before = _before.pop(task_id, None)
    if before is not None:
        request_id.reset(before)
