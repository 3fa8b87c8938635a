"""What webhooks cost: an edit, a delivery, and how soon the first attempt comes.

`python -m bench.webhooks [--rounds N] [--quick] [--only edits|throughput|latency] [--beside]`
"""

import argparse
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, nullcontext
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

from bench import webhook_stage as stage
from bench import webhook_throughput
from bench.import_beside import Latencies
from bench.import_stack import Bench, running
from bench.report_figure import tell
from bench.sample_csv import ROWS, write_sample
from tests.webhooks.receiver import Receiver
from tests.webhooks.traffic import ANSWERS, HEALTHY, paced

GOAL_EDIT = 1.10
GOAL_P95_MS = 1_000
BLOCK_EDITS = 40  # with as many endpoints as the one before had none
ENGINE_EDITS_PER_SECOND = 4  # 200 deliveries a second: the engine works, but keeps up
EDITS_PER_SECOND = 10
# The slow receivers make alerts too, which no endpoint here asked for.
OF_EDITS = "type LIKE 'product.%'"


def show_edits(bench: Bench, editor: stage.Editor, rounds: int) -> None:
    print(
        f"\nAn edit with {stage.ENDPOINTS} endpoints next to none,"
        f" {rounds} × {BLOCK_EDITS} of each, load {stage.load()}; goal {GOAL_EDIT:.2f}"
    )
    ways = {"in a process": editor.in_process, "over HTTP": editor.over_http}
    with stage.quick_receiver() as receiver:
        for engine in ("stopped", "running"):
            with stage.engine_stopped(bench) if engine == "stopped" else nullcontext():
                for name, rename in ways.items():
                    pace = 0.0 if engine == "stopped" else 1 / ENGINE_EDITS_PER_SECOND
                    without, beside = time_edits(bench, rename, receiver, rounds, pace)
                    show_ratio(f"{name}, engine {engine}", without, beside)
                stage.clear(bench)


def time_edits(
    bench: Bench,
    rename: Callable[[], None],
    receiver: stage.QuickReceiver,
    rounds: int,
    pace: float,
) -> tuple[list[list[float]], list[list[float]]]:
    """Seconds of each edit, by block: without endpoints and with them, in turns.

    An edit each `pace` seconds, after which all has to be delivered; 0 for at once, by nobody.
    """
    found: tuple[list[list[float]], list[list[float]]] = ([], [])
    for number in range(2 * rounds + 2):
        many = number % 2
        stage.clear(bench)
        if many:
            stage.add_endpoints(bench, stage.many(receiver))
        block = []
        for _ in range(BLOCK_EDITS):
            began = time.perf_counter()
            rename()
            block.append(time.perf_counter() - began)
            time.sleep(max(0.0, began + pace - time.perf_counter()))
        if pace:
            stage.wait_idle(bench)
        if number >= 2:  # the first two are for warmth
            found[many].append(block)
    return found


def show_ratio(name: str, without: list[list[float]], beside: list[list[float]]) -> None:
    bare, ours = (1000 * median(chain.from_iterable(blocks)) for blocks in (without, beside))
    pairs = sorted(median(many) / median(none) for none, many in zip(without, beside, strict=True))
    print(
        f"   {name:<30} {bare:6.2f} ms without, {ours:6.2f} ms with: ratio {ours / bare:.2f}"
        f" (by blocks {pairs[0]:.2f} to {pairs[-1]:.2f})"
        + ("" if ours / bare <= GOAL_EDIT else "   MISSED"),
        flush=True,
    )
    what, goal = f"edit {name}", {"goal": GOAL_EDIT, "goal_of": "ratio"}
    tell(what, ours, "ms", baseline="no endpoints", bare=bare, **goal)


def show_latency(bench: Bench, editor: stage.Editor, seconds: int, path: Path | None) -> None:
    """Edits over HTTP, with nothing else or for as long as `path` is imported."""
    title = "nothing" if path is None else f"an import of {path.name}"
    print(
        f"\nFirst attempts at {EDITS_PER_SECOND} edits/s beside {title}, load {stage.load()};"
        f" goal p95 {GOAL_P95_MS:,} ms"
    )
    stage.clear(bench)
    with ExitStack() as stack:
        receivers = {n: stack.enter_context(Receiver(a)) for n, a in ANSWERS.items()}
        stage.add_endpoints(bench, [receiver.url for receiver in receivers.values()])
        done = threading.Event()
        if path is None:
            threading.Timer(seconds, done.set).start()
        else:
            threading.Thread(target=import_once, args=(bench, path, done)).start()
        engine, began = stage.engine_pid(bench), time.monotonic()
        cpu = stage.cpu(engine)
        answers = Latencies("answers to edits")
        while not done.is_set():
            second = range(EDITS_PER_SECOND)
            answers.seconds += paced(lambda _: editor.over_http(), second, EDITS_PER_SECOND)
        share = (stage.cpu(engine) - cpu) / (time.monotonic() - began)
        print(f"   {answers.line()}; the engine used {share:.0%} of a CPU")
        wait_for_all(bench, [receivers[name] for name in HEALTHY])
        events = bench.sql(
            f"SELECT replace(id::text, '-', ''), occurred_at FROM webhooks_event WHERE {OF_EDITS}"
        )
        at = {f"evt_{pk}": occurred_at for pk, occurred_at in events}
        for name in HEALTHY:
            came: dict[str, Any] = {}
            for request in receivers[name].requests:
                came.setdefault(request.headers["webhook-id"], request.at)
            waited = [(came[key] - at[key]).total_seconds() for key in at]
            found = Latencies(f"to {name}", waited)
            print(f"   {found.line()}", flush=True)
            found.tell_p95(f"beside {title}", GOAL_P95_MS)
        with stage.engine_stopped(bench):
            stage.clear(bench)


def import_once(bench: Bench, path: Path, done: threading.Event) -> None:
    from django.db import connection

    try:
        run = bench.run(path)
        print(f"   the import took {run.done:.1f} s from its last part on")
    finally:
        connection.close()
        done.set()


def wait_for_all(bench: Bench, receivers: Iterable[Receiver]) -> None:
    events = bench.sql(f"SELECT count(*) FROM webhooks_event WHERE {OF_EDITS}")[0][0]
    for receiver in receivers:
        receiver.wait(events, stage.IDLE_SECONDS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="of the import")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round, small")
    parser.add_argument("--beside", action="store_true", help="latency while an import runs, too")
    parser.add_argument("--only", choices=["edits", "throughput", "latency"], action="append")
    options = parser.parse_args()
    rounds = 1 if options.quick else options.rounds
    rows = 50_000 if options.quick else options.rows
    deliveries, seconds = (2_000, 10) if options.quick else (10_000, 60)
    logging.basicConfig(level=logging.WARNING)
    os.environ.setdefault("API_REQUESTS_PER_MINUTE", "1000000")

    def wanted(name: str) -> bool:
        return not options.only or name in options.only

    with tempfile.TemporaryDirectory(prefix="stockroom-bench-") as name:
        with running(Path(name) / "var") as bench:
            stage.wait_for_engine(bench)
            editor = stage.Editor(bench)
            if wanted("edits"):
                show_edits(bench, editor, rounds)
            if wanted("throughput"):
                webhook_throughput.show(bench, rounds, deliveries)
            if wanted("latency"):
                show_latency(bench, editor, seconds, None)
                if options.beside:
                    path = Path(name) / f"{rows:,} rows"
                    write_sample(path, rows)
                    show_latency(bench, editor, seconds, path)


if __name__ == "__main__":
    main()
