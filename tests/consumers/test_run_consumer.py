"""`manage.py run_consumer`: the same object without Celery."""

import signal

import pytest

from .processes import Process, Stage, wait_until


def run_consumer(stage: Stage, *names: str, **environment: str) -> Process:
    return stage.start("manage.py", "run_consumer", *names, **environment)


def test_it_works_is_seen_and_drains_on_sigterm(stage: Stage) -> None:
    process = run_consumer(stage, "demo", "spare")
    stage.put("hello")
    stage.wait_for_out("hello")
    stage.wait_for_health(name="demo", state="running", pid=process.child.pid)
    stage.wait_for_health(name="spare", state="running", pid=process.child.pid)

    process.send(signal.SIGTERM)

    stage.wait_for_health(name="demo", state="stopped")
    assert process.exit_code() == 0, process.log
    assert stage.out().count("drained") == 2


def test_a_signal_that_does_not_wake_the_main_thread_is_heard(stage: Stage) -> None:
    # As one that arrives between Python's last look and the wait for a lock.
    process = run_consumer(stage, "demo")
    stage.put("signal")

    assert process.exit_code() == 0, process.log
    assert "drained" in stage.out()


@pytest.mark.parametrize(
    ("order", "error"),
    [("crash", "RuntimeError: ordered to crash"), ("return", "EndedEarly: run() returned")],
)
def test_a_crash_ends_it_with_1(stage: Stage, order: str, error: str) -> None:
    process = run_consumer(stage, "demo")
    stage.put(order)

    assert stage.wait_for_health(name="demo", state="crashed")["error"].startswith(error)
    assert process.exit_code() == 1
    assert "Traceback" in process.log
    assert error in process.log


def test_it_works_and_drains_without_redis(stage: Stage) -> None:
    stage.broker.kill()
    process = run_consumer(stage, "demo")
    stage.put("hello")
    stage.wait_for_out("hello")

    process.send(signal.SIGTERM)

    assert process.exit_code() == 0, process.log
    assert process.log.count("can't show its health") == 1


def test_a_second_signal_ends_it_with_1(stage: Stage) -> None:
    process = run_consumer(stage, "demo")
    stage.put("hold")
    stage.wait_for_out("hold")
    process.send(signal.SIGTERM)
    stage.wait_for_out("stopping")

    def gone() -> bool:
        process.send(signal.SIGTERM)
        return process.child.poll() is not None

    wait_until("the second signal ends it", gone)
    assert process.exit_code() == 1
    assert "ended at once by a second signal (SIGTERM): demo draining" in process.log


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 1), (signal.SIGQUIT, 1)])
def test_other_signals_end_it_with_1(stage: Stage, number: signal.Signals, code: int) -> None:
    process = run_consumer(stage, "demo")
    stage.put("hello")
    stage.wait_for_out("hello")

    process.send(number)

    assert process.exit_code() == code
    assert ("drained" in stage.out()) == (number == signal.SIGINT)


def test_an_unknown_consumer_is_refused_with_the_known_ones(stage: Stage) -> None:
    process = run_consumer(stage, "demo", "dmo")

    assert process.exit_code() == 1
    known = "deliveries, demo, ledger, orders, prices, sales, spare"
    assert f"unknown consumer dmo; known: {known}" in process.log
    assert "Traceback" not in process.log
