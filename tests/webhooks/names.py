"""Names that resolve as a test says, at the socket: nothing of ours is replaced."""

import socket
from typing import Any

import pytest


def known_names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """A dict of addresses by name to fill and change; the system resolves all names not in it.

    An empty list stands for a name that does not resolve.
    """
    known: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, **options: Any) -> list[Any]:
        if host not in known:
            return real(host, port, **options)
        if not known[host]:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [row for ip in known[host] for row in real(ip, port, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return known
