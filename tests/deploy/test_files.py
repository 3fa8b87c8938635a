"""Procfile and docker-compose.yml, as far as they can be checked without running them."""

import re
from pathlib import Path

import pytest
import yaml

from config.services.processes import ROLES, roles

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
    # `worker` of the Procfile is all of them on one dyno; `tasks` is what compose calls worker.
    assert set(ROLES) | {"release", "tasks"} == set(procfile)


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


# Whose queues an ordinary worker must not serve: a calculation would hold its few processes.
OWN_QUEUES = {"performance"}


def test_the_celery_queues_are_the_same_everywhere(compose, procfile):
    from config.celery import app

    queues = [
        queue.name for queue in app.conf.task_queues if not queue.name.startswith("consumer.")
    ]
    shared = ",".join(sorted(set(queues) - OWN_QUEUES))
    own = [(name, name, name) for name in OWN_QUEUES]
    for queue, role, process in [(shared, "worker", "tasks"), *own]:
        for command in (compose["services"][role]["command"], procfile[process], made(role)):
            assert f"-Q {queue} " in command
    everything = ",".join([shared, *sorted(OWN_QUEUES)])
    assert f"-Q ${{WORKER_QUEUES:-{everything}}} " in procfile["worker"]


def made(role: str, **environment: str) -> str:
    """The command of `make run`."""
    return " ".join(roles(Path("/var"), environment, 3)[role].command)


def test_performance_has_processes_of_its_own_as_many_as_are_wished_for(compose, procfile):
    variable = "PRICES_PERFORMANCE_PROCESSES"
    for command in (compose["services"]["performance"]["command"], procfile["performance"]):
        assert f"--pool prefork -c ${{{variable}:-8}} -O fair " in command
    assert "--pool prefork -c 8 -O fair " in made("performance")
    assert "--pool prefork -c 3 -O fair " in made("performance", **{variable: "3"})


def test_whoever_calculates_may_end_what_it_has_begun(compose):
    from streaming.prices import tasks

    longest = tasks.calculate.time_limit
    assert seconds(compose["services"]["performance"]["stop_grace_period"]) > longest
    assert roles(Path("/var"), {}, 3)["performance"].stop_seconds > longest


def seconds(text: str) -> int:
    assert text.endswith("s")
    return int(text[:-1])


def test_each_step_of_prices_is_a_service_of_its_own(compose):
    services = compose["services"]
    file = services["prices-csv"]
    assert file["command"].split()[:3] == ["python", "manage.py", "load_prices"]
    assert file["restart"].startswith("on-failure")
    assert file["profiles"], "it is started by hand: its file is given by hand"
    (volume,) = file["volumes"]
    assert (volume["type"], volume["read_only"]) == ("bind", True)
    assert volume["target"] == file["command"].split()[3]
    # A folder of that name, made by Docker where the file is missing, would be no help.
    assert volume["bind"] == {"create_host_path": False}
    assert "--consumer prices " in services["prices"]["command"]
    assert "-Q performance " in services["performance"]["command"]
    for name in ("prices", "performance"):
        assert services[name]["restart"] == "unless-stopped"
        assert "profiles" not in services[name]
    for name in ("prices-csv", "prices", "performance"):
        assert services[name]["image"] == compose["x-app"]["image"]
        assert "ports" not in services[name]


def test_every_consumer_has_a_process_of_its_own_name_everywhere(compose, procfile):
    from config.consumers.registry import consumer_names

    for name in consumer_names():
        for command in (compose["services"][name]["command"], procfile[name]):
            assert f"--pool solo --consumer {name} " in command
    (together,) = re.findall(r"^CONSUMERS=\$\{CONSUMERS-([a-z,]+)\} ", procfile["worker"])
    assert sorted(together.split(",")) == consumer_names()
    for name in ("tasks", "performance"):  # children of prefork can't host any
        assert procfile[name].startswith("CONSUMERS= exec ")
