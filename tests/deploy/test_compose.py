"""docker-compose.yml against the published schema, and what each service of it must have.

`compose-spec.json` is the schema of the Compose Specification (Apache License 2.0:
`compose-spec.LICENSE`) as check-jsonschema 0.39.0 of 2026-10-26 ships it.
"""

import copy
import json
import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from config.services.processes import ROLES

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ENGINES = {"postgres", "valkey", "keydb", "kafka", "rabbitmq"}
# Their images write their configuration into their own folders when they start.
WRITES_TO_ITSELF = {"kafka", "rabbitmq"}
UNITS = {"M": 1, "G": 1024}


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    return Draft202012Validator(json.loads((HERE / "compose-spec.json").read_text()))


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


@pytest.fixture(scope="module")
def services(compose) -> dict:
    return compose["services"]


def test_it_is_what_the_schema_asks_for(schema, compose):
    assert [f"{each.json_path}: {each.message}" for each in schema.iter_errors(compose)] == []


@pytest.mark.parametrize(
    ("where", "value"),
    [("restart", 7), ("heathcheck", {}), ("mem_limit", []), ("ports", "8000:8000")],
)
def test_the_schema_would_see_a_mistake(schema, compose, where, value):
    wrong = copy.deepcopy(compose)
    wrong["services"]["web"][where] = value
    assert list(schema.iter_errors(wrong))


def test_every_service_has_a_health_check_that_can_pass_on_a_busy_machine(services):
    for name, service in services.items():
        check = service["healthcheck"]
        if name in ("migrate", "prices-csv"):  # they end
            assert check == {"disable": True}
            continue
        assert check["test"][0] in ("CMD", "CMD-SHELL")
        assert check["timeout"] and check["start_period"] and check["retries"] >= 3
        if name in ROLES and name != "web":
            assert check["test"][1:] == ["python", "-m", "config.operations.liveness", name]
            assert int(check["timeout"].removesuffix("s")) >= 20


def test_what_runs_is_restarted_limited_and_its_log_bounded(services):
    for service in services.values():
        ends = service["healthcheck"].get("disable")
        assert service["restart"] == "unless-stopped" or ends
        assert service["logging"]["options"]["max-size"]
        limits = service["deploy"]["resources"]["limits"]
        assert re.fullmatch(r"[0-9]+[MG]", limits["memory"]) and float(limits["cpus"]) > 0
        assert service["init"] is True


def test_the_limits_fit_into_a_machine_of_12_gib(services):
    total = 0
    for name, service in services.items():
        if name not in ("migrate", "prices-csv"):
            memory = service["deploy"]["resources"]["limits"]["memory"]
            total += int(memory[:-1]) * UNITS[memory[-1]]
    assert total <= 12 * 1024


def test_nobody_gains_rights_and_file_systems_are_read_only(services):
    for name, service in services.items():
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service.get("read_only", False) is (name not in WRITES_TO_ITSELF)
        assert "privileged" not in service
        if name not in ENGINES:
            assert service["cap_drop"] == ["ALL"]
            assert "/tmp" in service["tmpfs"]


def test_images_are_pinned(services):
    for name, service in services.items():
        image, _, tag = service["image"].partition(":")
        if name in ENGINES:
            assert re.search(r"[0-9]+\.[0-9]+", tag), f"{image} has the tag {tag!r}"
        else:
            assert service["build"] == "."


def test_gunicorn_and_stops_have_the_time_they_need(services):
    from django.conf import settings

    for name in ("deliveries", "sales", "prices", "ledger", "orders"):
        grace = int(services[name]["stop_grace_period"].removesuffix("s"))
        assert grace > settings.CONSUMER_DRAIN_SECONDS + 5
    assert "--graceful-timeout 10 " in services["web"]["command"]
    assert services["web"]["stop_grace_period"] == "20s"


def test_its_variables_are_known_or_secrets_of_its_engines(compose):
    documented = set(re.findall(r"^#([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.M))
    used = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))
    own = {"POSTGRES_PASSWORD", "RABBITMQ_PASSWORD", "PRICES_CSV", "WORKER_CONCURRENCY"}
    assert used <= documented | own
    assert set(compose["x-app"]["environment"]) <= documented
