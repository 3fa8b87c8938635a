"""What a consumer takes that holds thousands of verifications. For bench.orders."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.orders.stage import SIMULATED, VERIFYING, Stage, complain
from bench.report_figure import tell
from bench.sales_stage import Worker, load

LONG = {"VERIFIER_MIN_SECONDS": "1800", "VERIFIER_MAX_SECONDS": "1800"}
IDLE_SECONDS = 2.0
MIB = 1024**2


def show(stage: Stage, orders: int) -> None:
    """Simulated verifications, then such that ask a verifier who never answers."""
    print(f"\nA consumer that holds {orders:,} verifications, load {load()}", flush=True)
    taken(stage, orders, "simulated", {**SIMULATED, **LONG})
    with silent_verifier() as (url, connections):
        held = {"VERIFIER_URL": url, "VERIFIER_TIMEOUT_SECONDS": "1800"}
        taken(stage, orders, "asked of a verifier, a connection each", held)
        if len(connections) < orders:
            print(f"   WARNED: the verifier was asked {len(connections):,} times", flush=True)


def taken(stage: Stage, orders: int, what: str, variables: dict[str, str]) -> None:
    stage.clear()
    with stage.consumer(ORDERS_IN_FLIGHT=str(orders), **variables) as consumer:
        stage.wait_ready(consumer)
        idle = settled(consumer)
        cpu = consumer.cpu_seconds()
        stage.announce(stage.orders(orders))
        stage.wait(
            consumer, lambda: stage.number(VERIFYING) == orders, f"{orders:,} are verified at once"
        )
        held = settled(consumer)
        began, busy = time.monotonic(), consumer.cpu_seconds()
        time.sleep(IDLE_SECONDS)
        share = (consumer.cpu_seconds() - busy) / (time.monotonic() - began)
        complain(consumer)
    print(
        f"   {what}: {held / MIB:.0f} MiB resident, idle before {idle / MIB:.0f} MiB:"
        f" {(held - idle) / orders / 1024:.1f} KiB each; {busy - cpu:.1f} s of CPU to begin them,"
        f" then {100 * share:.0f} % of a CPU",
        flush=True,
    )
    tell(f"memory of a verification, {what}", (held - idle) / orders / 1024, "KiB")


def settled(consumer: Worker) -> int:
    """Its resident bytes, once they no longer grow."""
    before = -1
    while (now := consumer.resident_bytes()) > before:
        before = now
        time.sleep(IDLE_SECONDS)
        consumer.check()
    return now


@contextmanager
def silent_verifier() -> Iterator[tuple[str, list[socket.socket]]]:
    """Takes each connection and says nothing: its URL, and what it has taken."""
    connections: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as server:

        def accept() -> None:
            while True:
                try:
                    connections.append(server.accept()[0])
                except OSError:  # closed
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/verify", connections
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in connections:
                connection.close()
