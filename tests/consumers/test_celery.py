"""That Celery's settings mean what celery_settings.py says, in real workers and a real beat."""

import os
import re
import signal

import pytest
from celery.app.defaults import SETTING_KEYS
from celery.exceptions import QueueNotFound
from django.conf import settings
from kombu.exceptions import OperationalError

from config.celery import app
from tests.services.waiting import freeze

from .jobs import linger, note
from .processes import Stage, wait_until


def test_every_celery_setting_exists() -> None:
    given = [name for name in dir(settings) if name.startswith("CELERY_")]

    unknown = [n for n in given if n.removeprefix("CELERY_").lower() not in SETTING_KEYS]

    assert given
    assert unknown == []


def test_none_means_for_ever() -> None:
    assert app.conf.broker_connection_max_retries is None


def test_nothing_outlives_the_visibility_timeout() -> None:
    visible = app.conf.broker_transport_options["visibility_timeout"]
    assert app.conf.task_soft_time_limit < app.conf.task_time_limit < visible / 2


def test_an_unknown_queue_is_refused(stage: Stage) -> None:
    with pytest.raises(QueueNotFound):
        note.apply_async(("x",), queue="imprts")

    process = stage.worker("-P", "solo", "-Q", "imprts")
    assert process.exit_code() == 1
    assert "Trying to select queue subset" in process.log


def test_each_queue_is_bound_to_itself_alone() -> None:
    for name, queue in app.amqp.queues.items():
        assert (queue.exchange.name, queue.routing_key) == (name, name)


def test_the_schedule_and_the_routes_name_tasks_and_queues_there_are() -> None:
    app.loader.import_default_modules()
    sweeps = app.conf.beat_schedule.values()
    named = {sweep["task"] for sweep in sweeps} | app.conf.task_routes.keys()
    options = [sweep["options"] for sweep in sweeps] + list(app.conf.task_routes.values())

    assert named <= app.tasks.keys()
    assert {option["queue"] for option in options} <= app.amqp.queues.keys()


def test_publishing_gives_up_soon_on_a_broker_that_never_answers(stage: Stage) -> None:
    attempts = 1 + 1 + app.conf.task_publish_retry_policy["max_retries"]
    assert attempts * app.conf.broker_transport_options["socket_timeout"] < 5

    short = {"socket_timeout": 0.5}
    with app.connection_for_write(stage.broker_url, transport_options=short) as connection:
        note.apply_async(("x",), connection=connection)
        assert stage.broker.pid is not None
        freeze(stage.broker.pid)
        try:
            with pytest.raises(OperationalError):
                note.apply_async(("y",), connection=connection)
        finally:
            os.kill(stage.broker.pid, signal.SIGCONT)


def test_a_killed_childs_task_is_done_by_another_and_logs_name_its_job(stage: Stage) -> None:
    process = stage.worker("-P", "prefork", "-c", "1", "-I", "tests.consumers.jobs")
    with app.connection_for_write(stage.broker_url) as connection:
        linger.apply_async(connection=connection)
        first = wait_until("the task runs", lambda: stage.out("pids"))
        os.kill(int(first[0]), signal.SIGKILL)
        pids = wait_until(
            f"another child runs it\n{process.log}",
            lambda: pids if len(pids := stage.out("pids")) == 2 else [],
        )
        assert pids[0] != pids[1]
        stage.data.rpush(f"{stage.key}:release", "now")
        stage.wait_for_out("released", "noted")

        job = note.apply_async(("line",), connection=connection)
        stage.wait_for_out("line", "noted")

    line = rf" I {pids[1]} tests\.consumers\.jobs tests\.consumers\.jobs\.note\[{job.id}\] noting"
    assert re.search(line, process.log), process.log
    process.send(signal.SIGTERM)
    assert process.exit_code() == 0, process.log


def test_beat_survives_its_broker_and_leaves_no_file(stage: Stage) -> None:
    queued = stage.broker_client()
    beat = stage.start("-m", "celery", "-A", "config.celery", "beat", IMPORT_SWEEP_SECONDS="0.2")
    wait_until(f"it sends\n{beat.log}", lambda: queued.llen("default"))
    assert {"sweep-imports", "sweep-retention"} <= settings.CELERY_BEAT_SCHEDULE.keys()

    stage.broker.kill()
    beat.says("Message Error")
    stage.broker.start()
    before = queued.llen("default")
    wait_until(f"it sends again\n{beat.log}", lambda: queued.llen("default") > before)

    beat.send(signal.SIGTERM)
    assert beat.exit_code() == 0, beat.log
    assert not list(settings.BASE_DIR.glob("celerybeat-schedule*"))


@pytest.mark.parametrize("where", ["InSending", "InFinalizer"])
def test_beat_ends_wherever_it_is_told_to(stage: Stage, where: str) -> None:
    scheduler = f"tests.consumers.schedulers:{where}"

    beat = stage.start(
        *("-m", "celery", "-A", "config.celery", "beat", "-S", scheduler),
        IMPORT_SWEEP_SECONDS="0.2",
    )

    assert beat.exit_code() == 0, beat.log


def test_a_worker_survives_its_broker(stage: Stage) -> None:
    process = stage.worker("-P", "threads", "-c", "2", "-I", "tests.consumers.jobs")
    process.says("ready.")
    stage.broker.kill()
    process.says("Trying again")
    stage.broker.start()
    process.says("Connected to", times=2)
    with app.connection_for_write(stage.broker_url) as connection:
        note.apply_async(("back",), connection=connection)
    stage.wait_for_out("back", "noted")
