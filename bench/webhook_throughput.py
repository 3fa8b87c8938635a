"""How many deliveries the engine makes a second, next to a bare loop that posts the same bodies.

Used by webhooks.py.
"""

import json
import subprocess
import sys
import time
from statistics import median

from bench import webhook_stage as stage
from bench.import_stack import Bench
from bench.report_figure import tell

AT_ONCE = 50  # of the bare loop; the engine has up to 4 each of 50 endpoints
BARE = {"bare, connections kept": [], "bare, one connection each": ["--fresh"]}


def show(bench: Bench, rounds: int, deliveries: int) -> None:
    events = deliveries // stage.ENDPOINTS
    print(
        f"\n{deliveries:,} deliveries to {stage.ENDPOINTS} endpoints of a quick receiver,"
        f" load {stage.load()}"
    )
    stage.clear(bench)
    with stage.quick_receiver() as receiver:
        stage.add_endpoints(bench, stage.many(receiver))
        deliver(bench, receiver, 2)  # warm
        bare: dict[str, list[dict[str, float]]] = {}
        ours = []
        for _ in range(rounds):
            for name, options in BARE.items():
                bare.setdefault(name, []).append(post_bare(receiver.url, deliveries, options))
            ours.append(deliver(bench, receiver, events))
    per_second = deliveries / median(run["seconds"] for run in ours)
    print(
        f"   {'engine':<30} {per_second:6.0f}/s; CPU of 1,000: engine"
        f" {1000 / deliveries * median(run['cpu'] for run in ours):.2f} s, whole stack"
        f" {1000 / deliveries * median(run['stack_cpu'] for run in ours):.2f} s"
    )
    for name, runs in bare.items():
        pairs = zip(ours, runs, strict=True)
        print(
            f"   {name:<30} {deliveries / median(run['seconds'] for run in runs):6.0f}/s;"
            f" CPU of 1,000: {1000 / deliveries * median(run['cpu'] for run in runs):.2f} s;"
            f" engine takes {median(o['seconds'] / b['seconds'] for o, b in pairs):.1f} times"
        )
        rates, plain = ([deliveries / run["seconds"] for run in each] for each in (ours, runs))
        beside = {"more": True, "baseline": name, "bare": plain}
        tell(f"deliveries beside {name}", rates, "deliveries/s", **beside)
    stage.clear(bench)


def deliver(bench: Bench, receiver: stage.QuickReceiver, events: int) -> dict[str, float]:
    """Seconds from the commit of so many events to the last answer, and CPU seconds."""
    from django.db import transaction

    from webhooks.dispatch import wake
    from webhooks.event_types import EVENT_TYPES
    from webhooks.models import Event

    data = EVENT_TYPES["product.updated"].sample
    engine = stage.engine_pid(bench)
    cpu, stack_cpu = stage.cpu(engine), bench.cpu() - stage.cpu(receiver.pid)
    with transaction.atomic():
        Event.objects.bulk_create(Event(type="product.updated", data=data) for _ in range(events))
        wake()
    began = time.time()
    stage.wait_idle(bench)
    failed = "SELECT count(*) FROM webhooks_attempt WHERE state <> 'succeeded'"
    if bench.sql(failed)[0][0]:
        raise SystemExit("attempts failed")
    ended = bench.sql("SELECT extract(epoch FROM max(finished_at)) FROM webhooks_attempt")[0][0]
    return {
        "seconds": float(ended) - began,
        "cpu": stage.cpu(engine) - cpu,
        "stack_cpu": bench.cpu() - stage.cpu(receiver.pid) - stack_cpu,
    }


def post_bare(url: str, deliveries: int, options: list[str]) -> dict[str, float]:
    from django.utils import timezone

    from webhooks import signing
    from webhooks.engine import message
    from webhooks.event_types import EVENT_TYPES

    now = timezone.now()
    body = message.body("product.updated", now, EVENT_TYPES["product.updated"].sample)
    headers = message.headers("evt_1", now, body, [signing.new_secret()], {}, test=False)
    command = [sys.executable, "-m", "bench.webhook_bare", url, str(deliveries), str(AT_ONCE)]
    ran = subprocess.run(
        [*command, *options],
        input=json.dumps({"headers": headers, "body": body.decode()}),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(ran.stdout)
