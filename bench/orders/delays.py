"""How soon after the verification orders are decided, and who follows them hears of it. For
bench.orders."""

import asyncio
import time
from collections.abc import Sequence
from uuid import UUID

from bench.orders import followers
from bench.orders.client import Pace
from bench.orders.followers import Heard
from bench.orders.stage import READY_SECONDS, SIMULATED, Callbacks, Stage, complain
from bench.orders.words import in_words, percentiles
from bench.report_figure import tell
from bench.sales_stage import load

GOAL_P95_MS = 250
WAYS = 3  # each order is followed in one way: stream, waiting request, callback
# Verifications begin together; their ends are spread evenly after the followers are there.
FOLLOWERS_A_SECOND = 100
SPARE_SECONDS = 3.0
LATE_SECONDS = 20.0
DECIDED = """
SELECT order_id, extract(epoch FROM verified_at)::float8, extract(epoch FROM decided_at)::float8,
    status
FROM transactions_order
"""


def show(stage: Stage, rates: Sequence[int], seconds: float) -> None:
    for rate in rates:
        heard, opening = followed(stage, rate, seconds)
        rows = {
            UUID(str(order_id)): (verified, decided, status)
            for order_id, verified, decided, status in stage.sql(DECIDED)
        }
        if any(status != "Accept" for *_, status in rows.values()):
            raise SystemExit("not all orders were accepted")
        ends = [verified for verified, *_ in rows.values()]
        print(
            f"\n{len(rows):,} decisions, {len(rows) / (max(ends) - min(ends)):.0f} a second, each"
            f" followed in one way (opened in {opening:.1f} s), load {load()};"
            f" goal p95 {GOAL_P95_MS} ms after the verification",
            flush=True,
        )
        say(rate, "decided", [decided - verified for verified, decided, _ in rows.values()])
        for name, found in heard.items():
            expected = [
                order_id for order_id, at in found.followed_at.items() if at < rows[order_id][0]
            ]
            times = [found.at[each] - rows[each][0] for each in expected if each in found.at]
            say(rate, name, times)
            if left := len(found.followed_at) - len(expected):
                print(f"   WARNED: {left:,} were followed too late to count", flush=True)
            if left := len(expected) - len(times):
                print(f"   WARNED: {left:,} were never heard of", flush=True)


def say(rate: int, name: str, times: list[float]) -> None:
    p95_ms = 1000 * percentiles(times, 95)[0]
    missed = "   MISSED" if p95_ms > GOAL_P95_MS else ""
    tell(f"{name} at {rate}/s, p95 after the verification", p95_ms, "ms", goal=GOAL_P95_MS)
    print(f"   {name:<16} {in_words(times, 50, 95)}{missed}", flush=True)


def followed(stage: Stage, rate: int, seconds: float) -> tuple[dict[str, Heard], float]:
    """What each way heard of, and how long it took until all were followed."""
    stage.clear()
    count = int(rate * seconds)
    opened = count * (WAYS - 1) / WAYS  # callbacks need nothing to be opened
    first = opened / FOLLOWERS_A_SECOND + SPARE_SECONDS
    variables = {
        **SIMULATED,
        # Not whole numbers: else the simulation takes whole seconds.
        "VERIFIER_MIN_SECONDS": f"{first + 0.001:.3f}",
        "VERIFIER_MAX_SECONDS": f"{first + seconds + 0.001:.3f}",
    }
    with stage.consumer(**variables) as consumer, stage.consumer("deliveries") as deliveries:
        stage.wait_ready(consumer)
        found = asyncio.run(follow(stage, count, first + seconds))
        complain(consumer)
        complain(deliveries)
    return found


async def follow(stage: Stage, count: int, seconds: float) -> tuple[dict[str, Heard], float]:
    streams, waits, callbacks = Heard(), Heard(), Heard()
    async with followers.receiver(callbacks) as url, asyncio.TaskGroup() as group:
        orders = stage.orders(count, Callbacks(url, WAYS))
        stage.announce(orders)
        began = time.perf_counter()
        pace = Pace(FOLLOWERS_A_SECOND)
        tasks = []
        for number, order_id in enumerate(orders, start=1):
            if number % WAYS == 0:
                callbacks.followed_at[order_id] = time.time()
                continue
            way, heard = ((followers.stream, streams), (followers.wait, waits))[number % WAYS - 1]
            await asyncio.sleep(max(0.0, pace.next() - time.perf_counter()))
            tasks.append(group.create_task(way(stage.place, stage.token, order_id, heard)))
        opening = time.perf_counter() - began
        _, late = await asyncio.wait(tasks, timeout=seconds + READY_SECONDS)
        for task in late:
            task.cancel()
        deadline = time.perf_counter() + LATE_SECONDS
        while callbacks.at.keys() != callbacks.followed_at.keys():
            if time.perf_counter() > deadline:
                break
            await asyncio.sleep(0.1)
    return {"live stream": streams, "waiting request": waits, "callback": callbacks}, opening
