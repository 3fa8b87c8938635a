"""Reserved loopback ports for the engines and the web server."""

import socket

LOOPBACK = "127.0.0.1"


class Port:
    """A free TCP port of the loopback interface, kept for us as long as this object lives.

    The number is known before the server that will listen on it exists, so it can be handed to
    other processes at once. A socket stays bound to it without listening: with SO_REUSEADDR on
    both sides the server can bind and listen beside it, while the kernel gives the number to
    nobody who asks for "any free port", also between a kill and the next start.
    """

    def __init__(self) -> None:
        """Reserve a port chosen by the kernel. Raises OSError when none is free."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((LOOPBACK, 0))
        self.number: int = self._socket.getsockname()[1]

    def close(self) -> None:
        """Give the port back. May be called more than once."""
        self._socket.close()


def listen(port: int | None, *, default: int = 8000, tries: int = 20) -> socket.socket:
    """Return a listening loopback socket for the web server, inheritable by it.

    `port` is taken as it is (OSError when it is in use); None means `default` or the first free
    one of the `tries` after it.
    """
    candidates = [port] if port is not None else list(range(default, default + tries))
    for candidate in candidates:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, candidate))
            listener.listen(2048)
        except OSError as error:
            listener.close()
            if candidate == candidates[-1]:
                raise OSError(
                    error.errno, f"{LOOPBACK}:{candidate} can't be used: {error.strerror}"
                ) from error
            continue
        listener.set_inheritable(True)
        return listener
    raise AssertionError("unreachable: the last candidate returns or raises")


def is_answering(port: int, timeout_seconds: float = 1.0) -> bool:
    """Whether something accepts connections on this loopback port."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout_seconds):
            return True
    except OSError:
        return False
