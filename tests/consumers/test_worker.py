"""Consumers in Celery workers: real processes, killed and cut off."""

import signal
from datetime import UTC, datetime

import pytest

from tests.services.waiting import freeze

from .jobs import linger, note
from .processes import Process, Stage, alive, wait_until


def test_it_works_is_seen_and_drains_on_sigterm(stage: Stage) -> None:
    process = stage.consumer()
    seen = stage.wait_for_health(name="demo", state="running", health={"moved": 1})
    assert seen["pid"] == process.child.pid
    assert seen["host"]
    assert seen["error"] is None
    assert seen["started_at"] < seen["beaten_at"] < datetime.now(UTC)

    process.send(signal.SIGTERM)

    assert stage.wait_for_health(name="demo", state="stopped")["error"] is None
    assert process.exit_code() == 0, process.log
    assert stage.out() == ["hello", "stopping", "drained"]


def test_a_crash_ends_an_idle_worker_with_1(stage: Stage) -> None:
    process = stage.consumer()

    stage.put("crash")

    shown = stage.wait_for_health(name="demo", state="crashed")
    assert shown["error"] == "RuntimeError: ordered to crash"
    assert process.exit_code() == 1
    assert "Traceback" in process.log
    assert "RuntimeError: ordered to crash" in process.log
    assert "by force" not in process.log


def test_a_crash_lets_the_other_consumers_drain(stage: Stage) -> None:
    process = stage.worker("-P", "solo", "--consumer", "demo", "--consumer", "spare")
    stage.put("hello", "crash")

    assert process.exit_code() == 1
    assert stage.out().count("drained") == 1


def test_a_crash_while_the_broker_is_away_ends_the_worker_with_1(stage: Stage) -> None:
    process = stage.consumer()
    stage.broker.kill()
    process.says("Trying again")

    stage.put("crash")

    assert process.exit_code() == 1
    assert "RuntimeError: ordered to crash" in process.log


def test_a_crash_while_the_broker_hangs_ends_the_worker_with_1(stage: Stage) -> None:
    process = stage.consumer()
    assert stage.broker.pid is not None
    freeze(stage.broker.pid)

    stage.put("crash")

    assert process.exit_code() == 1
    assert "RuntimeError: ordered to crash" in process.log
    stage.broker.kill()


def test_a_crash_before_the_broker_was_ever_there_ends_the_worker_with_1(stage: Stage) -> None:
    stage.broker.kill()
    process = stage.worker("-P", "solo", "--consumer", "demo")
    stage.put("hello", "crash")

    assert process.exit_code() == 1
    assert "RuntimeError: ordered to crash" in process.log


def test_it_goes_on_without_the_broker_and_is_seen_again_with_it(stage: Stage) -> None:
    process = stage.consumer()
    stage.wait_for_health(name="demo", state="running")

    stage.broker.kill()
    process.says("can't show its health")
    process.says("Trying again")
    stage.put("alone")
    stage.wait_for_out("alone")

    stage.broker.start()
    stage.wait_for_health(name="demo", state="running", health={"moved": 2})
    process.says("Connected to", times=2)
    assert process.log.count("can't show its health") == 1
    process.send(signal.SIGTERM)
    assert process.exit_code() == 0, process.log
    assert stage.out()[-1] == "drained"


def test_it_drains_on_sigterm_while_the_broker_is_away(stage: Stage) -> None:
    process = stage.consumer()
    stage.broker.kill()
    process.says("Trying again")

    process.send(signal.SIGTERM)

    assert process.exit_code() == 0, process.log
    assert stage.out() == ["hello", "stopping", "drained"]


def holding(stage: Stage, **environment: str) -> Process:
    """A worker that was sent SIGTERM and whose consumer does not drain until released."""
    stage.put("hold")
    process = stage.consumer(**environment)
    process.send(signal.SIGTERM)
    stage.wait_for_out("stopping")
    return process


def test_it_waits_for_a_slow_drain(stage: Stage) -> None:
    process = holding(stage, DEMO_REPEAT_SECONDS="600")
    process.send(signal.SIGTERM)  # soon after: the same stop, sent to process and group
    stage.wait_for_health(name="demo", state="draining")
    assert process.child.poll() is None

    stage.data.rpush(f"{stage.key}:release", "now")

    assert process.exit_code() == 0, process.log
    assert stage.out()[-1] == "drained"


def test_a_drain_past_its_deadline_ends_with_1(stage: Stage) -> None:
    process = holding(stage, CONSUMER_DRAIN_SECONDS="1")

    assert process.exit_code() == 1
    assert "not drained after 1 s: demo" in process.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_a_second_signal_ends_with_1(stage: Stage, number: signal.Signals) -> None:
    process = holding(stage)

    def gone() -> bool:
        process.send(number)
        return process.child.poll() is not None

    if number == signal.SIGQUIT:
        process.send(number)  # once: Celery leaves the next one to the system
    else:
        wait_until("the second signal ends it", gone)

    assert process.exit_code() == 1
    assert "ended at once by" in process.log


def test_prefork_is_refused_before_anything_starts(stage: Stage) -> None:
    stage.put("hello")
    process = stage.worker("--consumer", "demo")

    assert process.exit_code() == 2
    assert "needs -P solo or -P threads" in process.log
    assert "Traceback" not in process.log
    assert stage.out() == []


def test_an_unknown_consumer_is_refused_with_the_known_ones(stage: Stage) -> None:
    process = stage.worker("-P", "solo", "-Q", "consumer.dmo", "--consumer", "dmo")

    assert process.exit_code() == 2
    known = "deliveries, demo, ledger, orders, prices, sales, spare"
    assert f"unknown consumer dmo; known: {known}" in process.log
    assert "Traceback" not in process.log


def test_its_worker_takes_no_tasks(stage: Stage) -> None:
    with note.app.connection_for_write(stage.broker_url) as connection:
        note.apply_async(("never",), connection=connection)
        process = stage.consumer()
        process.send(signal.SIGTERM)
        assert process.exit_code() == 0, process.log
        assert connection.default_channel.client.llen("default") == 1

    refused = stage.worker("-P", "solo", "--consumer", "demo", "-Q", "default,consumer.demo")
    assert refused.exit_code() == 2
    assert "takes no tasks" in refused.log


def test_the_variable_hosts_consumers_beside_tasks_and_beat(stage: Stage) -> None:
    with note.app.connection_for_write(stage.broker_url) as connection:
        note.apply_async(("task",), connection=connection)
    process = stage.worker(
        "-P", "threads", "-c", "2", "-B", "-I", "tests.consumers.jobs", CONSUMERS="demo,spare"
    )
    stage.put("hello")
    stage.wait_for_out("hello")
    stage.wait_for_out("task", "noted")
    stage.wait_for_health(name="spare", state="running")

    process.send(signal.SIGTERM)

    assert process.exit_code() == 0, process.log
    assert stage.out().count("drained") == 2
    wait_until("nothing is left", lambda: alive(process) == [])


def test_a_crash_beside_a_stuck_task_ends_by_force_and_takes_beat_along(stage: Stage) -> None:
    process = stage.worker(
        *("-P", "solo", "-B", "-I", "tests.consumers.jobs"),
        CONSUMERS="demo",
        CONSUMER_DRAIN_SECONDS="1",
    )
    with note.app.connection_for_write(stage.broker_url) as connection:
        linger.apply_async(connection=connection)
    wait_until("the task runs", lambda: stage.out("pids"))
    assert len(alive(process)) == 2, "the worker and its beat"

    stage.put("crash")

    assert process.exit_code() == 1
    assert "ended by force" in process.log
    wait_until("nothing is left", lambda: alive(process) == [])


def test_a_wrong_name_in_the_variable_is_refused(stage: Stage) -> None:
    process = stage.worker("-P", "solo", CONSUMERS="demo,nope")

    assert process.exit_code() == 2
    known = "known: deliveries, demo, ledger, orders, prices, sales, spare"
    assert f"variable CONSUMERS: unknown consumer nope; {known}" in process.log
