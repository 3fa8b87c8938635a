"""Decisions a second where verifications take no time: the consumer and a bare loop. For
bench.orders."""

import time
from collections.abc import Callable
from statistics import median

from bench.orders.stage import OPEN, POLL_SECONDS, SIMULATED, USERS, Stage, complain
from bench.report_figure import tell
from bench.sales_stage import Rate, load

STALL_SECONDS = 60.0
BARE_SECONDS = 6.0
INSTANT = {"VERIFIER_MIN_SECONDS": "0", "VERIFIER_MAX_SECONDS": "0"}
OF: dict[str, Callable[[Rate], float]] = {
    "a second": lambda rate: rate.a_second,
    "a CPU second of its process": lambda rate: rate.a_core,
}


def show(stage: Stage, rounds: int, orders: int) -> None:
    print(
        f"\n{orders:,} waiting orders of {USERS} users, verifications of 0 s, {rounds} rounds,"
        f" load {load()}",
        flush=True,
    )
    bare: list[Rate] = []
    ours: list[Rate] = []
    for _ in range(rounds):
        bare.append(by_bare(stage, orders))
        print(f"   … bare loop: {in_words(bare[-1])}, load {load()}", flush=True)
        ours.append(by_consumer(stage, orders))
        print(f"   … consumer: {in_words(ours[-1])}, load {load()}", flush=True)
    for what, of in OF.items():
        ratios = [of(mine) / of(other) for mine, other in zip(ours, bare, strict=True)]
        print(
            f"   {what}: {median(map(of, ours)):,.0f}, bare {median(map(of, bare)):,.0f};"
            f" {median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f})",
            flush=True,
        )
        beside = {"more": True, "baseline": "bare loop", "bare": [of(each) for each in bare]}
        tell(f"decisions {what}", [of(each) for each in ours], "decisions/s", **beside)


def in_words(rate: Rate) -> str:
    return f"{rate.a_second:,.0f} decided a second, {rate.a_core:,.0f} a CPU second"


def by_bare(stage: Stage, orders: int) -> Rate:
    stage.clear()
    stage.orders(orders)
    with stage.worker(["-m", "bench.orders.bare", str(BARE_SECONDS)]) as worker:
        count, seconds, cpu = worker.wait(STALL_SECONDS).split()
    return Rate(int(count), float(seconds), float(cpu))


def by_consumer(stage: Stage, orders: int) -> Rate:
    """From the first batch that is seen to be decided to the last; CPU of all its threads."""
    stage.clear()
    stage.announce(stage.orders(orders))
    with stage.consumer(**SIMULATED, **INSTANT) as worker:
        began = last = (time.monotonic(), worker.cpu_seconds(), orders)
        while last[2]:
            time.sleep(POLL_SECONDS)
            worker.check()
            now = (time.monotonic(), worker.cpu_seconds(), stage.number(OPEN))
            if now[2] != last[2]:
                began = now if began[2] == orders else began
                last = now
            elif now[0] > last[0] + STALL_SECONDS:
                raise SystemExit(f"{now[2]:,} of {orders:,} are open:\n{worker.said()}")
        complain(worker)
    if began is last:
        raise SystemExit(f"{orders:,} orders were decided in one batch: take more")
    return Rate(began[2], last[0] - began[0], last[1] - began[1])
