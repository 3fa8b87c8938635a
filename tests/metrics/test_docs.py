"""docs/metrics.md names what there is."""

import re
from pathlib import Path

import yaml
from django.conf import settings
from prometheus_client.metrics_core import CounterMetricFamily

from config.metrics.families import families
from config.metrics.requests import KINDS, STATUSES, Answered
from tests.operations.example import EXAMPLE

TEXT = (Path(settings.BASE_DIR) / "docs" / "metrics.md").read_text()
ROWS = re.findall(r"^\| `(stockroom_\w+)` \|([^|]*)\|", TEXT, re.M)
BLOCKS = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.M | re.S)]


def test_it_lists_every_metric_with_its_labels() -> None:
    requests = {("page", "2xx"): Answered()}
    made = {}
    for family in families("1", {**EXAMPLE, "age_seconds": 1.0}, [], requests):
        name = family.name + ("_total" if isinstance(family, CounterMetricFamily) else "")
        assert family.samples, name
        made[name] = set(family.samples[0].labels) - {"le"}
    assert {name: set(re.findall(r"\w+", labels)) for name, labels in ROWS} == made


def test_it_names_kinds_and_statuses() -> None:
    (row,) = re.findall(r"^\| `stockroom_http_requests_total`.*$", TEXT, re.M)
    assert set(KINDS) | {"2xx", "unanswered"} <= set(re.findall(r"`(\w+)`", row))
    assert "unanswered" in STATUSES


def test_its_alerts_ask_for_metrics_that_there_are() -> None:
    scrape, alerts = BLOCKS
    assert scrape["scrape_configs"][0]["metrics_path"] == "/metrics"
    rules = alerts["groups"][0]["rules"]
    assert len(rules) == 3
    asked = set(re.findall(r"stockroom_\w+", " ".join(rule["expr"] for rule in rules)))
    assert asked and asked <= {name for name, _ in ROWS}
