"""A viewer's side of a stream, on a plain socket."""

import socket
from contextlib import suppress
from typing import Self

from .servers import Server, until


def event(data: str) -> str:
    """A snapshot as it is sent."""
    return f"event: snapshot\ndata: {data}\n\n"


class Stream:
    """One open stream. Everything it has sent is in `text`; use as a context manager."""

    def __init__(self, server: Server, cookie: str, channel: str = "import-7") -> None:
        self.connection = server.connect()
        request = f"GET /events/{channel}/ HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n"
        self.connection.sendall(request.encode())
        self.connection.setblocking(False)
        self.text = ""
        self.ended = False

    def read(self) -> str:
        """Take what has come meanwhile; returns all that ever came."""
        with suppress(BlockingIOError):
            while not self.ended:
                data = self.connection.recv(2**16)
                self.ended = not data
                self.text += data.decode()
        return self.text

    def wait_for(self, text: str, *, seconds: float = 60.0) -> None:
        until(lambda: text in self.read(), f"{text!r} in the stream", seconds=seconds)

    def forget(self) -> None:
        """Look only at what comes from now on."""
        self.read()
        self.text = ""

    def close(self) -> None:
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
