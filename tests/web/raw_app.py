"""A WSGI application without Django, below the same ASGI application as the real one.

Served by gunicorn in tests/web/test_asgi.py, which looks at what arrives here.
"""

import contextvars
import json
import tempfile
import threading
import time

from config.asgi import Web

# isort: split
from django.http import FileResponse

PAGE_THREADS = 2
TRANSFER_THREADS = 2
FILE_BYTES = 30 * 2**20

# Of the last upload: bytes that arrived, and whether its body has ended.
received = {"bytes": 0, "ended": False, "digest": 0}
may_read = threading.Event()
count: contextvars.ContextVar[int] = contextvars.ContextVar("count", default=0)


def upload(environ):
    received.update(bytes=0, ended=False, digest=0)
    if environ["QUERY_STRING"] == "wait":
        may_read.wait(30)
    left = int(environ["CONTENT_LENGTH"])
    while left:
        block = environ["wsgi.input"].read(min(left, 2**20))
        if not block:
            break
        left -= len(block)
        received["bytes"] += len(block)
        received["digest"] += sum(block[:: 2**10])
    received["ended"] = True
    return b"stored"


def answer(environ) -> bytes:
    path = environ["PATH_INFO"]
    if path.startswith("/api/uploads/"):
        return upload(environ)
    if path == "/received":
        return json.dumps(received).encode()
    if path == "/go-on":
        may_read.set()
    if path == "/hold":
        may_read.clear()
    if path == "/body":
        return environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    if path == "/headers":
        seen = {k: v for k, v in environ.items() if k.startswith(("HTTP_", "REMOTE_ADDR"))}
        return json.dumps({**seen, "scheme": environ["wsgi.url_scheme"]}).encode()
    if path == "/context":
        count.set(count.get() + 1)
        return f"{threading.current_thread().name} {count.get()}".encode()
    return b"a page"


def wsgi(environ, start_response):
    if environ["PATH_INFO"] == "/broken":
        # More than it announced, in more chunks than the response's queue holds.
        start_response("200 OK", [("Content-Length", "1")])
        return [b"xx"] * 50
    if environ["PATH_INFO"] == "/endless.csv":
        start_response("200 OK", [("Content-Type", "text/csv")])
        return endless()
    if environ["PATH_INFO"] == "/breaks-off.csv":
        start_response("200 OK", [("Content-Type", "text/csv")])
        return breaks_off()
    if environ["PATH_INFO"] == "/static/large":
        return file(start_response)
    body = b"x" * FILE_BYTES if environ["PATH_INFO"] == "/large" else answer(environ)
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def file(start_response):
    content = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the response
    content.truncate(FILE_BYTES)
    start_response("200 OK", [("Content-Length", str(FILE_BYTES))])
    return FileResponse(content)


def breaks_off():
    yield b"a line\r\n"
    raise RuntimeError("the rest is gone")


def endless():
    received.update(bytes=0, ended=False)
    try:
        while True:
            yield b"x" * 2**16
            received["bytes"] += 2**16
            time.sleep(0.001)
    finally:
        received["ended"] = True


application = Web(wsgi, page_threads=PAGE_THREADS, transfer_threads=TRANSFER_THREADS)
