"""Where the consumer spends its time when it works off a full queue. For bench.ledger."""

import io
import pstats
import re
from pathlib import Path

from bench.ledger.stage import Stage
from bench.ledger.throughput import bodies, taken
from bench.sales_stage import load

TOP = 25
PACKAGE = re.compile(r"\S*/(site-packages|lib/python[0-9.]+)/")
PROFILED = """
import cProfile
import django
django.setup()
from transactions.ledger.engine.consumer import LedgerConsumer
run = LedgerConsumer.run
def profiled(self, stop):
    profile = cProfile.Profile()
    try:
        profile.runcall(run, self, stop)
    finally:
        profile.dump_stats({path!r})
LedgerConsumer.run = profiled
"""


def show(stage: Stage, messages: int, *, ids: bool) -> None:
    """Of the intake's thread, by the clock: waiting counts as time of what waits."""
    path = stage.folder / "profile"
    with stage.tables(0) as tables:
        rate = taken(
            stage,
            tables,
            bodies(messages),
            lambda: stage.consumer(tables, PROFILED.format(path=str(path))),
            ids=ids,
        )
    print(
        f"\nThe intake's thread under cProfile, which slows calls down: {messages:,} messages"
        f" {'with' if ids else 'without'} ids, {rate.a_second:,.0f}/s, load {load()}",
        flush=True,
    )
    for order, title in (("tottime", "their own time"), ("cumtime", "time with what they call")):
        print(f"\n   {TOP} by {title}:\n{table(path, order)}", flush=True)


def table(path: Path, order: str) -> str:
    text = io.StringIO()
    pstats.Stats(str(path), stream=text).sort_stats(order).print_stats(TOP)
    _, _, rows = text.getvalue().partition("   ncalls")
    return "   ncalls" + PACKAGE.sub("", rows.rstrip())
