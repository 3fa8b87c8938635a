"""docker-compose.yml against the published schema, and what each service of it must have.

`compose-spec.json` is the schema of the Compose Specification (Apache License 2.0:
`compose-spec.LICENSE`) as check-jsonschema 0.39.0 of 2026-10-26 ships it.
"""

import copy
import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import redis
import yaml
from jsonschema import Draft202012Validator

from config.services.processes import ROLES, roles
from tests.docs import texts

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


def test_it_waits_as_long_as_make_run_before_it_kills(services):
    for name, role in roles(ROOT, {}, 3).items():
        assert services[name]["stop_grace_period"] == f"{role.stop_seconds:g}s"


def test_what_stands_in_the_env_file_reaches_ours_alone(services):
    for name, service in services.items():
        wanted = None if name in ENGINES else [{"path": ".env", "required": False}]
        assert service.get("env_file") == wanted
        if wanted:
            # The image has its static files there, and prefork can host no consumers.
            assert service["environment"]["STOCKROOM_VAR"] == "/app/var"
            assert service["environment"]["CONSUMERS"] == ""
    assert "STOCKROOM_VAR=/app/var" in (ROOT / "Dockerfile").read_text()


def of_docs(begins: str) -> str:
    """The script in quotes of the one command of docs/data.md that begins so."""
    found = [
        command.text
        for block in texts.shell_blocks()
        if block.place.startswith("docs/data.md")
        for command in texts.commands(block)
        if command.text.startswith(begins)
    ]
    assert len(found) == 1
    (script,) = [word for word in shlex.split(found[0]) if " " in word]
    return script


def test_a_copy_of_redis_takes_the_place_of_what_is_there(own_valkey):
    script = of_docs("docker compose run --rm -T valkey sh -ec ")
    copied, restored = own_valkey(), own_valkey()
    for engine, key in ((copied, "kept"), (restored, "gone")):
        with redis.from_url(engine.variables()["PRICES_REDIS_URL"]) as client:
            client.set(key, "1")
            client.save()
    restored.stop()
    with (copied.data_dir / "dump.rdb").open("rb") as file:
        subprocess.run(["sh", "-ec", script], cwd=restored.data_dir, stdin=file, check=True)
    for _ in range(2):  # also from what it writes itself
        restored.start()
        with redis.from_url(restored.variables()["PRICES_REDIS_URL"]) as client:
            assert client.keys() == [b"kept"]
        restored.stop()


def test_its_variables_are_known_or_secrets_of_its_engines(compose):
    documented = set(re.findall(r"^#([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.M))
    used = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))
    own = {"POSTGRES_PASSWORD", "RABBITMQ_PASSWORD", "PRICES_CSV", "WORKER_CONCURRENCY"}
    assert used <= documented | own
    assert set(compose["x-app"]["environment"]) <= documented
