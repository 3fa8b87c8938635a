"""Procfile and docker-compose.yml, as far as they can be checked without running them."""

from pathlib import Path

import pytest
import yaml

from config.services.processes import ROLES

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


@pytest.fixture(scope="module")
def procfile() -> dict[str, str]:
    lines = (ROOT / "Procfile").read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines if line)


def test_every_role_of_make_run_is_in_both_files(compose, procfile):
    assert set(ROLES) <= set(compose["services"])
    assert set(ROLES) | {"release"} <= set(procfile)


def test_every_engine_has_a_health_check_a_volume_and_restarts(compose):
    for name in ("postgres", "valkey", "keydb", "kafka", "rabbitmq"):
        service = compose["services"][name]
        assert service["healthcheck"]["test"]
        assert service["restart"] == "unless-stopped"
        volume = service["volumes"][0].split(":")[0]
        assert volume in compose["volumes"]


def test_all_that_is_depended_on_exists_and_is_waited_for(compose):
    services = compose["services"]
    for service in services.values():
        for name, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[name]
            else:
                assert services[name]["restart"] == "no"


def test_no_port_is_open_to_other_machines_and_no_secret_has_a_default(compose):
    for service in compose["services"].values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")
    environment = compose["x-app"]["environment"]
    assert environment["SECRET_KEY"].startswith("${SECRET_KEY:?")
    assert "POSTGRES_PASSWORD:?" in environment["DATABASE_URL"]


def test_the_celery_queues_are_the_same_everywhere(compose, procfile):
    from config.celery import app

    names = sorted(queue.name for queue in app.conf.task_queues)
    queues = ",".join(name for name in names if not name.startswith("consumer."))
    for command in (compose["services"]["worker"]["command"], procfile["worker"]):
        assert f"-Q {queues} " in command


def test_every_consumer_has_a_process_of_its_own_name_everywhere(compose, procfile):
    from config.consumers.registry import consumer_names

    for name in consumer_names():
        for command in (compose["services"][name]["command"], procfile[name]):
            assert f"--pool solo --consumer {name} " in command
