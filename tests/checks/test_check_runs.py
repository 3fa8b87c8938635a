"""Runs of checks: one at a time, taken over after a kill, ended as lost, started by night."""

import io
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from config import request_log
from config.checks import registry, running, tasks
from config.checks.findings import NotChecked, Outcome
from config.checks.models import CheckRun, CheckState, Origin
from config.checks.registry import Check
from config.checks.watch import Watch
from config.jobs import claims
from tests.services.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE_SECONDS = 60.0


class Trial:
    """A check that does what a test wants."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.watches: list[Watch] = []
        self.error: Exception | None = None
        self.findings = 0
        self.on_call: Callable[[], object] = lambda: None

    def __call__(self, watch: Watch) -> Outcome:
        self.watches.append(watch)
        self.on_call()
        self.begun.set()
        watch.say("at work")
        assert self.goes_on.wait(PATIENCE_SECONDS)
        watch.over()
        if self.error is not None:
            raise self.error
        outcome = Outcome(looked_at=3, summary="3 things.")
        for number in range(self.findings):
            outcome.add(f"place {number}", "is wrong\0", "Put it right.")
        return outcome


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> dict[str, Trial]:
    """Two checks, and no other."""
    made = {"one": Trial(), "two": Trial()}
    checks = tuple(Check(name, name.title(), "This.", "no time", made[name]) for name in made)
    monkeypatch.setattr(registry, "ALL", checks)
    monkeypatch.setattr(registry, "BY_NAME", {check.name: check for check in checks})
    return made


def ended(run: CheckRun) -> CheckRun:
    run.refresh_from_db()
    assert run.ended, run.state
    return run


def grow_old(run: CheckRun) -> None:
    """What the time would do to the heartbeat of a worker that has stopped."""
    CheckRun.objects.filter(pk=run.pk).update(heartbeat_at=timezone.now() - timedelta(days=1))


def test_its_log_has_the_id_of_the_request_that_asked_for_it(trials, editor):
    held = request_log.request_id.set("asked-by-ana")
    running.start(["one"], by=editor)
    request_log.request_id.set("")
    seen = []
    trials["one"].on_call = lambda: seen.append(request_log.current())
    try:
        running.advance()
    finally:
        request_log.request_id.reset(held)
    assert seen == ["asked-by-ana"]


def test_all_run_one_after_the_other(trials, editor):
    trials["two"].findings = 2
    one, two = running.start(by=editor)
    assert running.advance() is True
    assert running.advance() is False
    assert ended(one).state == CheckState.PASSED
    assert (one.looked_at, one.summary, one.findings) == (3, "3 things.", [])
    assert ended(two).state == CheckState.FAILED
    assert two.found == 2 and two.findings[1]["place"] == "place 1"
    assert two.findings[0]["what"] == "is wrong\\0"
    assert trials["one"].watches[0].seconds == 45.0


def test_one_that_is_queued_or_running_is_taken_instead_of_a_second(trials, editor, workers):
    (queued,) = running.start(["one"], by=editor)
    assert running.start(["one"]) == [queued]
    trials["one"].goes_on.clear()
    running_one = workers(running.advance)
    assert trials["one"].begun.wait(PATIENCE_SECONDS)
    again, other = running.start()
    assert (again, other.name) == (queued, "two")
    assert running.waiting() == []  # one at a time
    assert running.run(queued.pk, 10) is False
    trials["one"].goes_on.set()
    assert running_one.result(PATIENCE_SECONDS) is True
    assert ended(queued).state == CheckState.PASSED
    assert running.start(["one"])[0] != queued
    assert len(trials["one"].watches) == 1


def test_two_who_start_at_once_get_the_same(trials, workers):
    asked = [workers(running.start, ["one"]) for _ in range(6)]
    found = {run.pk for each in asked for run in each.result(PATIENCE_SECONDS)}
    assert len(found) == 1 == CheckRun.objects.count()


def test_how_far_it_is_and_a_sign_of_life_are_written_meanwhile(trials, workers, settings):
    settings.IMPORT_STALE_SECONDS = 2.0
    (run,) = running.start(["one"])
    trials["one"].goes_on.clear()
    at_work = workers(running.run, run.pk, None)

    def shown() -> bool:
        run.refresh_from_db()
        return run.progress == "at work"

    until(shown, PATIENCE_SECONDS)
    first = run.heartbeat_at
    until(lambda: CheckRun.objects.filter(heartbeat_at__gt=first).exists(), PATIENCE_SECONDS)
    assert run.state == CheckState.RUNNING
    trials["one"].goes_on.set()
    assert at_work.result(PATIENCE_SECONDS) is True
    assert ended(run).heartbeat_at is None


def test_whoever_took_over_ends_it_and_the_frozen_one_gives_up(trials, workers):
    (run,) = running.start(["one"])
    trials["one"].goes_on.clear()
    frozen = workers(running.run, run.pk, None)
    assert trials["one"].begun.wait(PATIENCE_SECONDS)
    # As if it had been stopped for long; its thread may beat once more before it is taken.
    while (claim := claims.take(CheckRun, run.pk)) is None:
        grow_old(run)
    until(lambda: trials["one"].watches[0].lost, PATIENCE_SECONDS)
    trials["one"].goes_on.set()
    assert frozen.result(PATIENCE_SECONDS) is False
    run.refresh_from_db()
    assert (run.claim, run.state) == (claim.number, CheckState.RUNNING)
    grow_old(run)
    assert running.waiting() == [run.pk]
    running.advance()
    assert ended(run).state == CheckState.PASSED


def test_one_whose_workers_all_die_ends_as_lost(trials):
    (run,) = running.start(["one"])
    for _ in range(running.MOST_BEGINS):
        assert claims.take(CheckRun, run.pk) is not None
        grow_old(run)
    running.advance()
    assert ended(run).state == CheckState.ERROR
    assert run.error.startswith("Lost: each of the 3 workers")
    assert trials["one"].watches == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NotChecked("Kafka is away."), "Kafka is away."),
        (ValueError("bang"), "It ended with an error. ValueError: bang"),
    ],
)
def test_what_could_not_be_checked_says_why(trials, error, words):
    trials["one"].error = error
    (run,) = running.start(["one"])
    running.advance()
    assert (ended(run).state, run.error, run.found) == (CheckState.ERROR, words, 0)


def test_only_the_newest_are_kept(trials, monkeypatch):
    monkeypatch.setattr(running, "KEPT", 3)
    for _ in range(5):
        running.start(["one"])
        running.advance()
    newest = running.start(["two"])
    running.advance()
    assert CheckRun.objects.filter(name="one").count() == 3
    assert ended(newest[0]).state == CheckState.PASSED


def test_each_night_all_are_queued_with_what_may_be_reused(trials):
    tasks.run_all()
    runs = CheckRun.objects.order_by("pk")
    assert [(run.name, run.origin) for run in runs] == [
        ("one", Origin.NIGHT),
        ("two", Origin.NIGHT),
    ]
    tasks.advance()
    assert trials["one"].watches[0].reuse_seconds == tasks.NIGHT_SECONDS
    tasks.sweep()


def command(*arguments: str, **options: Any) -> int:
    try:
        call_command("check_data", *arguments, **options)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_the_command_runs_them_here_and_says_it_by_its_exit_code(trials, capsys):
    assert command() == 0
    assert "One: All right. 3 things." in capsys.readouterr().out
    trials["two"].findings = 3
    assert command("two", "--show", "2") == 1
    said = capsys.readouterr().out
    assert "Two: 3 findings. 3 things." in said and "place 1: is wrong" in said
    assert "place 2" not in said and "and 1 more" in said
    trials["one"].error = NotChecked("Kafka is away.")
    assert command("one") == 2
    assert trials["one"].watches[-1].seconds is None
    assert CheckRun.objects.filter(origin=Origin.COMMAND).count() == 4


def test_the_command_waits_for_a_worker_that_has_it_already(trials, workers, capsys):
    (run,) = running.start(["one"])
    trials["one"].goes_on.clear()
    at_work = workers(running.advance)
    assert trials["one"].begun.wait(PATIENCE_SECONDS)
    said = io.StringIO()
    asked: Any = workers(command, "one", stdout=said)
    until(lambda: "a worker runs it already" in said.getvalue())
    trials["one"].goes_on.set()
    assert at_work.result(PATIENCE_SECONDS) is False
    assert asked.result(PATIENCE_SECONDS) == 0
    assert len(trials["one"].watches) == 1
    assert ended(run).state == CheckState.PASSED


def test_the_command_knows_its_names(trials):
    with pytest.raises(Exception, match=r"There is no check 'nine'. Checks are: one, two\."):
        call_command("check_data", "nine")
