"""A TCP proxy that hands a request on and cuts the connection in place of the answer."""

import socket
import threading
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

PIECE = 256 * 1024


class LosingProxy:
    """Loses the answer to the first request that contains `words`; `lost` counts them."""

    def __init__(self, upstream: str, words: bytes) -> None:
        """`upstream` is an engine's URL; `url` is the same by way of the proxy."""
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or "", parts.port or 0)
        self._words = words
        self._due = True
        self._lock = threading.Lock()
        self.lost = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        user, at, _ = parts.netloc.rpartition("@")
        address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = parts._replace(netloc=f"{user}{at}{address}").geturl()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Take no more connections; those that are there go on."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._upstream)
                mute = threading.Event()
                for work in (self._up, self._down):
                    threading.Thread(target=work, args=(client, server, mute), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket, mute: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(PIECE):
                with self._lock:
                    if self._due and self._words in data:
                        self._due = False
                        mute.set()
                server.sendall(data)
        _end(client, server)

    def _down(self, client: socket.socket, server: socket.socket, mute: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(PIECE):
                if mute.is_set():
                    self.lost += 1
                    break
                client.sendall(data)
        _end(client, server)


def _end(*sockets: socket.socket) -> None:
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
