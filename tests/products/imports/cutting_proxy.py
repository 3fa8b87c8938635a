"""A TCP proxy that cuts its first connections after so many bytes: a bad network, for real."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

PIECE = 16 * 1024


class CuttingProxy:
    """`cuts` holds, per connection with a large body, the bytes after which it is cut."""

    def __init__(self, upstream: str, cuts: list[int]) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname, parts.port)
        self._cuts = list(cuts)
        self._lock = threading.Lock()
        self.cut = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._upstream)
                threading.Thread(target=self._up, args=(client, server), daemon=True).start()
                threading.Thread(target=self._down, args=(server, client), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        sent = 0
        with suppress(OSError):
            while data := client.recv(PIECE):
                server.sendall(data)
                sent += len(data)
                with self._lock:
                    due = bool(self._cuts) and sent > self._cuts[0]
                    if due:
                        self._cuts.pop(0)
                        self.cut += 1
                if due:
                    break
        _end(client, server)

    def _down(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(PIECE):
                client.sendall(data)
        _end(client, server)


def _end(*sockets: socket.socket) -> None:
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()


@contextmanager
def cutting_proxy(upstream: str, cuts: list[int]) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(upstream, cuts)
    try:
        yield proxy
    finally:
        proxy.close()
