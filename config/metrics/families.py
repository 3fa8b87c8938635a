"""The operations sample and the counts of requests as metrics of Prometheus. Pure; for views.py.

What could not be read, or is not known, has no series: a 0 would be a figure.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from config.operations.problem import Problem

from .requests import BUCKETS_SECONDS, Answered

Sample = Mapping[str, Any]
Values = Iterable[tuple[Sequence[str], float | None]]
SECTIONS = (
    "engines",
    "processes",
    "queues",
    "consumers",
    "jobs",
    "deliveries",
    "rollup",
    "performance",
    "orders",
    "rejects",
    "checks",
    "retention",
)
ENGINE_STATUS_OK = "ok"


def families(
    version: str,
    sample: Sample | None,
    problems: Iterable[Problem],
    requests: Mapping[tuple[str, str], Answered] | None,
) -> Iterator[Metric]:
    """All metrics.

    `sample` (see config/operations/sample.py) is None where there is none, `requests` where Redis
    is away.
    """
    yield _gauge("build_info", "Always 1, with the version.", ["version"], [((version,), 1)])
    if requests is not None:
        yield from _requests(requests)
    yield _one("sample_up", "1 where the figures below could be read.", sample is not None)
    if sample is None:
        return
    yield _one("sample_age_seconds", "Since they were taken.", sample.get("age_seconds"))
    yield _one("sample_cost_seconds", "What taking them took.", sample.get("cost_seconds"))
    yield _gauge(
        "section_up",
        "0 where a part of the sample could not be taken, and its series are missing.",
        ["section"],
        [((name,), float(_read(sample, name) is not None)) for name in SECTIONS],
    )
    severities = Counter(problem.severity for problem in problems)
    yield _gauge(
        "problems",
        "What Operations says is wrong.",
        ["severity"],
        [((name,), severities[name]) for name in ("critical", "warning")],
    )
    for part in (_engines, _processes, _queues, _consumers, _jobs, _work):
        yield from part(sample)


def _engines(sample: Sample) -> Iterator[Metric]:
    rows = _rows(sample, "engines")
    yield _gauge(
        "engine_up",
        "1 where the engine answers as it should.",
        ["engine"],
        [((row["name"],), float(row["status"] == ENGINE_STATUS_OK)) for row in rows],
    )
    yield _gauge(
        "engine_answer_seconds",
        "How long its answer took.",
        ["engine"],
        [((row["name"],), _seconds(row.get("milliseconds"))) for row in rows],
    )


def _processes(sample: Sample) -> Iterator[Metric]:
    rows = _rows(sample, "processes")
    keys = [(str(row["role"]), str(row["host"]), str(row["pid"])) for row in rows]
    labels = ["role", "host", "pid"]
    for name, text, field in (
        ("process_memory_bytes", "Resident memory.", "memory_bytes"),
        ("process_start_time_seconds", "When it began, since 1970.", "started_at"),
        ("process_beat_time_seconds", "Its last heartbeat, since 1970.", "beaten_at"),
    ):
        values = [(key, row.get(field)) for key, row in zip(keys, rows, strict=True)]
        yield _gauge(name, text, labels, values)
    roles = Counter((str(row["role"]), str(row["version"])) for row in rows)
    yield _gauge("processes", "By role and version.", ["role", "version"], roles.items())


def _queues(sample: Sample) -> Iterator[Metric]:
    rows = _rows(sample, "queues")
    for name, text, field in (
        ("queue_waiting", "Messages that wait.", "waiting"),
        ("queue_oldest_seconds", "How long the oldest has waited.", "oldest_seconds"),
        ("queue_consumers", "Who takes from it, where the broker says so.", "consumers"),
    ):
        values = [((row["name"], row["engine"]), row.get(field)) for row in rows]
        yield _gauge(name, text, ["queue", "engine"], values)


def _consumers(sample: Sample) -> Iterator[Metric]:
    rows = _rows(sample, "consumers")
    keys = [(row["name"], str(row["host"]), str(row["pid"])) for row in rows]
    labels = ["consumer", "host", "pid"]
    for name, text, of in (
        ("consumer_up", "1 while it runs.", lambda row: float(row["state"] == "running")),
        ("consumer_lag", "What waits for it: messages or rows.", lambda row: row.get("lag")),
        ("consumer_rate", "What it does, per second.", lambda row: row.get("rate")),
    ):
        values = [(key, of(row)) for key, row in zip(keys, rows, strict=True)]
        yield _gauge(name, text, labels, values)


def _jobs(sample: Sample) -> Iterator[Metric]:
    rows = _rows(sample, "jobs")
    states = Counter((row["kind"], row["state"]) for row in rows)
    yield _gauge("jobs", "Under way, by kind and state.", ["kind", "state"], states.items())
    stalled = Counter((row["kind"],) for row in rows if row.get("stalled"))
    kinds = sorted({(row["kind"],) for row in rows})
    values = [(kind, stalled[kind]) for kind in kinds]
    yield _gauge("jobs_stalled", "A worker could go on, and none has.", ["kind"], values)


def _work(sample: Sample) -> Iterator[Metric]:
    """What has one figure for all."""
    deliveries = _read(sample, "deliveries") or {}
    for name, text, field in (
        ("deliveries_due", "Webhooks to be sent now.", "due"),
        ("deliveries_oldest_due_seconds", "For how long the oldest is due.", "oldest_due_seconds"),
        ("deliveries_failed_last_hour", "Given up in the last hour.", "failed_last_hour"),
    ):
        yield _one(name, text, deliveries.get(field))
    for name, text, field in (
        ("endpoints_failing", "Endpoints whose last attempts failed.", "failing_endpoints"),
        ("endpoints_disabled", "Endpoints that were disabled.", "disabled_endpoints"),
    ):
        found = deliveries.get(field)
        yield _one(name, text, None if found is None else len(found))
    rollup = _read(sample, "rollup") or {}
    lateness = rollup.get("lateness_seconds")
    yield _one("rollup_lateness_seconds", "Of the last rollup, after its full minute.", lateness)
    yield _one(
        "rollup_minute_seconds", "The last rollup's minute, since 1970.", rollup.get("minute")
    )
    yield _one("rollup_missed", "1 where the last full minute has none.", rollup.get("missed"))
    performance = _read(sample, "performance") or {}
    for name, text, field in (
        ("performance_minute_seconds", "The last run's minute, since 1970.", "minute"),
        ("performance_run_seconds", "How long it took.", "seconds"),
        ("performance_calculated", "Stocks that it calculated.", "calculated"),
        ("performance_failed", "Stocks that it could not.", "failed"),
        (
            "performance_missed",
            "1 where stocks wait and the last full minute came to nothing.",
            "missed",
        ),
    ):
        yield _one(name, text, performance.get(field))
    orders = _read(sample, "orders") or {}
    yield _one("orders_open", "Orders without a decision.", orders.get("open"))
    yield _one("orders_open_limit", "From which on none is taken.", orders.get("limit"))
    yield _one("orders_oldest_seconds", "Age of the oldest of them.", orders.get("oldest_seconds"))
    rejects = [((row["kind"],), row.get("last_hour")) for row in _rows(sample, "rejects")]
    yield _gauge("rejects_last_hour", "Refused in the last hour.", ["kind"], rejects)
    checks = [row for row in _rows(sample, "checks") if row["state"] in ("passed", "failed")]
    for name, text, field in (
        ("check_findings", "What the last run of a check found.", "found"),
        ("check_time_seconds", "When it ended, since 1970.", "finished_at"),
    ):
        yield _gauge(name, text, ["check"], [((row["name"],), row.get(field)) for row in checks])
    retention = _read(sample, "retention") or {}
    yield _one("retention_time_seconds", "Its last turn, since 1970.", retention.get("at"))
    failed = [each for each in retention.get("purges") or () if each["error"]]
    count = None if retention.get("at") is None else len(failed)
    yield _one("retention_failed", "What it could not let go of.", count)


def _requests(requests: Mapping[tuple[str, str], Answered]) -> Iterator[Metric]:
    count = CounterMetricFamily(
        "stockroom_http_requests", "Web requests, of all processes.", labels=["kind", "status"]
    )
    durations = HistogramMetricFamily(
        "stockroom_http_request_duration_seconds",
        "From the request's head to the response's end; pages and API.",
        labels=["kind", "status"],
    )
    for key, answered in sorted(requests.items()):
        count.add_metric(key, answered.count)
        if key[0] in ("page", "api"):
            durations.add_metric(key, _cumulative(answered.buckets), answered.seconds)
    yield count
    yield durations


def _cumulative(buckets: Sequence[int]) -> list[tuple[str, float]]:
    bounds = [*(str(bound) for bound in BUCKETS_SECONDS), "+Inf"]
    found, total = [], 0
    for bound, more in zip(bounds, buckets, strict=True):
        total += more
        found.append((bound, float(total)))
    return found


def _read(sample: Sample, section: str) -> Any:
    """A section, None where it could not be taken."""
    found = sample.get(section)
    return None if isinstance(found, Mapping) and "error" in found else found


def _rows(sample: Sample, section: str) -> list[Mapping[str, Any]]:
    return list(_read(sample, section) or ())


def _one(name: str, text: str, value: float | None) -> Metric:
    return _gauge(name, text, [], [((), value)])


def _gauge(name: str, text: str, labels: Sequence[str], values: Values) -> Metric:
    family = GaugeMetricFamily(f"stockroom_{name}", text, labels=labels)
    for key, value in values:
        if value is not None:
            family.add_metric(key, float(value))
    return family


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
