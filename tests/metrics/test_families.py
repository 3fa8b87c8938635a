from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from config.metrics.families import SECTIONS, families
from config.metrics.requests import BUCKETS_SECONDS, Answered, parsed
from config.operations.problem import Problem
from tests.operations.example import EXAMPLE

SAMPLE = {**EXAMPLE, "age_seconds": 3.5}
WRONG = [Problem("engine:kafka", "critical", "Kafka is away", "Start it.")]
REQUESTS = parsed(
    {
        "page 2xx 0": "5",
        "page 2xx 3": "2",
        "page 2xx us": "110000",
        "api 5xx 12": "1",
        "api 5xx us": "31000000",
        "live 2xx 12": "4",
        "live 2xx us": "900000000",
    }
)


class Made:
    def __init__(self, *arguments: Any) -> None:
        self._made = list(families(*arguments))

    def collect(self) -> list[Metric]:
        return self._made


def series(sample: Any = SAMPLE, requests: Any = REQUESTS) -> dict[str, float]:
    """Each series of the text as a reader sees it, by name and labels."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Made("1.2", sample, WRONG, requests))
    text = generate_latest(registry).decode()
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for each in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(each.labels.items()))
            key = f"{each.name}{{{labels}}}"
            assert key not in found
            found[key] = each.value
    return found


def test_it_gives_every_figure_of_a_sample() -> None:
    found = series()
    assert {
        "stockroom_build_info{version=1.2}": 1,
        "stockroom_sample_up{}": 1,
        "stockroom_sample_age_seconds{}": 3.5,
        "stockroom_problems{severity=critical}": 1,
        "stockroom_problems{severity=warning}": 0,
        "stockroom_engine_up{engine=kafka}": 1,
        "stockroom_engine_answer_seconds{engine=kafka}": 0.0019,
        "stockroom_process_memory_bytes{host=one,pid=107,role=web}": 120_000_000,
        "stockroom_processes{role=web,version=1.0.0}": 2,
        "stockroom_queue_waiting{engine=redis,queue=imports}": 3,
        "stockroom_queue_oldest_seconds{engine=redis,queue=imports}": 4.5,
        "stockroom_queue_consumers{engine=rabbitmq,queue=orders}": 1,
        "stockroom_consumer_lag{consumer=sales,host=one,pid=106}": 40,
        "stockroom_consumer_up{consumer=sales,host=one,pid=106}": 1,
        "stockroom_jobs{kind=import,state=staging}": 1,
        "stockroom_jobs_stalled{kind=stock sync}": 1,
        "stockroom_jobs_stalled{kind=import}": 0,
        "stockroom_deliveries_due{}": 4,
        "stockroom_endpoints_disabled{}": 1,
        "stockroom_rollup_lateness_seconds{}": 0.4,
        "stockroom_rollup_missed{}": 0,
        "stockroom_performance_run_seconds{}": 1.25,
        "stockroom_orders_open{}": 25,
        "stockroom_rejects_last_hour{kind=sales}": 10,
    }.items() <= found.items()


def test_what_is_not_known_has_no_series() -> None:
    found = series()
    assert "stockroom_queue_oldest_seconds{engine=redis,queue=default}" not in found
    assert "stockroom_consumer_lag{consumer=deliveries,host=one,pid=110}" not in found


def test_a_section_that_could_not_be_taken_has_no_series() -> None:
    found = series({**SAMPLE, "queues": {"error": "Redis is away"}})
    assert found["stockroom_section_up{section=queues}"] == 0
    assert found["stockroom_section_up{section=orders}"] == 1
    assert not [name for name in found if name.startswith("stockroom_queue_")]


def test_without_any_section_the_rest_is_there() -> None:
    away = {name: {"error": "away"} for name in SECTIONS}
    assert set(series({**SAMPLE, **away})) >= {"stockroom_sample_age_seconds{}"}


def test_without_a_sample_it_says_so() -> None:
    found = series(None, None)
    assert found == {"stockroom_build_info{version=1.2}": 1, "stockroom_sample_up{}": 0}


def test_requests_are_counted_and_those_that_are_no_streams_are_timed() -> None:
    found = series()
    duration = "stockroom_http_request_duration_seconds"
    assert found["stockroom_http_requests_total{kind=page,status=2xx}"] == 7
    assert found["stockroom_http_requests_total{kind=live,status=2xx}"] == 4
    assert found[f"{duration}_bucket{{kind=page,le=0.005,status=2xx}}"] == 5
    assert found[f"{duration}_bucket{{kind=page,le=0.025,status=2xx}}"] == 5
    assert found[f"{duration}_bucket{{kind=page,le=0.05,status=2xx}}"] == 7
    assert found[f"{duration}_bucket{{kind=page,le=+Inf,status=2xx}}"] == 7
    assert found[f"{duration}_count{{kind=page,status=2xx}}"] == 7
    assert found[f"{duration}_sum{{kind=page,status=2xx}}"] == 0.11
    assert found[f"{duration}_bucket{{kind=api,le=30.0,status=5xx}}"] == 0
    assert not [name for name in found if name.startswith(duration) and "kind=live" in name]


@given(st.text(max_size=30))
def test_no_text_breaks_the_exposition(name: str) -> None:
    queue = {**EXAMPLE["queues"][0], "name": name, "waiting": 7}
    assert 7 in series({**SAMPLE, "queues": [queue]}).values()


def test_buckets_are_as_many_as_their_bounds_and_one() -> None:
    assert len(Answered().buckets) == len(BUCKETS_SECONDS) + 1
