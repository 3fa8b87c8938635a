"""The web process with waits of 25 s that last ten minutes; served by gunicorn in test_waiting.py.

On a busy machine 25 s may be over before a test has looked whether it was answered too soon.
"""

from config.asgi import application
from transactions.orders import waiting

__all__ = ["application"]

asked = waiting._seconds


def patient(query: bytes) -> float:
    seconds = asked(query)
    return 600.0 if seconds == waiting.MOST_SECONDS else seconds


waiting._seconds = patient
