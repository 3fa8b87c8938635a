"""Which of the web processes takes a new connection: the one with the smallest load.

Used by config/web_worker.py in place of uvicorn's listening. All of them wait at one socket, and
the kernel wakes all; by themselves the quickest takes every connection that is there, and has it
for as long as its client goes on asking. One process then did most of the work: of 40 connections
opened at once it had 30.
"""

import asyncio
import logging
import mmap
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from uvicorn import Config, Server

logger = logging.getLogger("uvicorn.error")

# What another process with a smaller load is given to take this one. Longer than it needs to
# wake up beside others, shorter than a client notices.
HESITATION_SECONDS = 0.005
FULL_SECONDS = 1.0  # after an accept that failed for want of files or memory
# uvicorn ticks every 0.1 s; a process that missed so many is stuck, stopped or gone.
FRESH_SECONDS = 1.0
HANDSHAKE_SECONDS = 1.0  # of TLS, when the process is to end
# Of a connection: a live page's stands open and asks nothing.
WEIGHT, LIVE_WEIGHT = 1.0, 1 / 16
LIVE = "/events/"


class Loads:
    """The load of each worker of one gunicorn, in memory that they share.

    To be made before the workers are forked. What one reads of another may be a tenth of a second
    old. Each has a slot, the first that nobody has written to of late.
    """

    SLOTS = 128
    SLOT = struct.Struct("=ddq")  # monotonic seconds, load, the worker's number

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, self.SLOTS * self.SLOT.size)
        self._mine = 0  # the slot that this process has written to

    def tell(self, number: int, load: float) -> None:
        """Worker `number` has this load now. Numbers are above 0, as gunicorn counts them."""
        now = time.monotonic()
        slots = self._slots()
        if slots[self._mine][2] != number:  # none yet, or another has taken it at the same moment
            free = (slot for slot, (at, *_) in enumerate(slots) if at < now - FRESH_SECONDS)
            self._mine = next(free, self._mine)
        self._write(now, load, number)

    def leave(self, number: int) -> None:
        """Worker `number` takes no more."""
        if self._slots()[self._mine][2] == number:
            self._write(0.0, 0.0, 0)

    def least_but(self, number: int) -> float | None:
        """The smallest load that another worker has; None where there is none."""
        since = time.monotonic() - FRESH_SECONDS
        others = (load for at, load, whose in self._slots() if at > since and whose != number)
        return min(others, default=None)

    def _slots(self) -> list[tuple[float, float, int]]:
        return list(self.SLOT.iter_unpack(self._shared[:]))

    def _write(self, at: float, load: float, number: int) -> None:
        self.SLOT.pack_into(self._shared, self._mine * self.SLOT.size, at, load, number)


class Listener:
    """Accepts at one socket, a connection at a time. Closed as an asyncio.Server is."""

    def __init__(
        self,
        listening: socket.socket,
        take: Callable[[socket.socket], asyncio.Task[Any]],
        is_ours: Callable[[], bool],
    ) -> None:
        """`take` makes a connection of what was accepted, `is_ours` tells whether to wait first."""
        self._listening, self._take, self._is_ours = listening, take, is_ours
        self._loop = asyncio.get_running_loop()
        self._later: asyncio.TimerHandle | None = None
        self.taking: set[asyncio.Task[Any]] = set()
        """Accepted, without a protocol yet."""
        self._closed = False
        listening.setblocking(False)
        self._wait()

    def close(self) -> None:
        self._closed = True
        self._loop.remove_reader(self._listening.fileno())
        if self._later is not None:
            self._later.cancel()

    async def wait_closed(self) -> None:
        """Until each connection that was accepted has its protocol, or its handshake is late."""
        if self.taking:
            await asyncio.wait(self.taking, timeout=HANDSHAKE_SECONDS)

    def _wait(self) -> None:
        self._later = None
        if not self._closed:
            self._loop.add_reader(self._listening.fileno(), self._on_connection)

    def _pause(self, seconds: float, then: Callable[[], None]) -> None:
        self._loop.remove_reader(self._listening.fileno())
        self._later = self._loop.call_later(seconds, then)

    def _on_connection(self) -> None:
        if self._is_ours():
            self._accept()
        else:
            self._pause(HESITATION_SECONDS, self._accept_and_wait)

    def _accept_and_wait(self) -> None:
        self._wait()
        self._accept()

    def _accept(self) -> None:
        try:
            connection, _ = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another process has it, or the client has gone
        except OSError as error:  # EMFILE, ENFILE, ENOBUFS, ENOMEM
            logger.error("No connection is taken for %g s: %s", FULL_SECONDS, error)
            self._pause(FULL_SECONDS, self._wait)
            return
        connection.setblocking(False)
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._take(connection)
        self.taking.add(task)
        task.add_done_callback(self._taken)

    def _taken(self, task: asyncio.Task[Any]) -> None:
        self.taking.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.warning("A connection could not be taken: %s", task.exception())


class SharingServer(Server):
    """uvicorn's server, of which several share one socket evenly.

    A connection's protocol has a `weight`.
    """

    def __init__(self, config: Config, loads: Loads, number: int) -> None:
        """`number` is the worker's in `loads`."""
        super().__init__(config)
        self._loads, self._number = loads, number
        self._listeners: list[Listener] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])
        self._tell()
        self._listeners = [Listener(each, self._take, self._is_ours) for each in sockets or []]

    async def on_tick(self, counter: int) -> bool:
        self._tell()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._loads.leave(self._number)
        for listener in self._listeners:
            listener.close()
            await listener.wait_closed()  # so that uvicorn tells every connection
        await super().shutdown(sockets)

    def _tell(self) -> None:
        self._loads.tell(self._number, self._load())

    def _load(self) -> float:
        taking = sum(len(listener.taking) for listener in self._listeners)
        there: Any = self.server_state.connections
        return taking + sum(each.weight for each in there)

    def _is_ours(self) -> bool:
        least = self._loads.least_but(self._number)
        return least is None or self._load() <= least

    def _take(self, connection: socket.socket) -> asyncio.Task[Any]:
        loop = asyncio.get_running_loop()
        made = loop.connect_accepted_socket(self._protocol, connection, ssl=self.config.ssl)
        task = loop.create_task(made)
        self._loads.tell(self._number, self._load() + 1)
        return task

    def _protocol(self) -> asyncio.Protocol:
        """As uvicorn's startup makes it."""
        protocol: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol
