"""What the sample has of checks and of retention."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from config.checks.models import CheckRun, CheckState
from config.checks.registry import ALL
from config.live import board
from config.operations.facts import checks, retention
from config.retention import outcome
from config.retention.outcome import Outcome

AT = datetime(2026, 1, 2, 3, tzinfo=UTC)


def ended(name: str, state: CheckState, found: int = 0, days: int = 0) -> CheckRun:
    at = AT + timedelta(days=days)
    return CheckRun.objects.create(name=name, state=state, found=found, finished_at=at)


def named(name: str) -> dict[str, Any]:
    (found,) = [each for each in checks.facts({}) if each["name"] == name]
    return found


class TestChecks:
    def test_all_are_there_before_any_has_run(self, db: None) -> None:
        found = checks.facts({})
        assert [each["name"] for each in found] == [check.name for check in ALL]
        assert {(each["state"], each["found"], each["finished_at"]) for each in found} == {
            (None, None, None)
        }

    def test_the_last_run_that_has_ended_counts(self, db: None) -> None:
        ended("orders", CheckState.FAILED, 2)
        ended("orders", CheckState.PASSED)
        last = ended("orders", CheckState.FAILED, 3)
        CheckRun.objects.create(name="orders", state=CheckState.RUNNING)
        found = named("orders")
        assert found == {
            "name": "orders",
            "title": "Orders",
            "state": "failed",
            "found": 3,
            "finished_at": AT.timestamp(),
            "url": f"/operations/checks/{last.pk}/",
            "standing": 3,
            "standing_url": f"/operations/checks/{last.pk}/",
            "unknown_since": None,
        }

    def test_a_run_that_could_not_look_takes_nothing_back(self, db: None) -> None:
        failed = ended("orders", CheckState.FAILED, 3)
        away = ended("orders", CheckState.ERROR)
        found = named("orders")
        assert (found["state"], found["url"]) == ("error", f"/operations/checks/{away.pk}/")
        assert found["standing"] == 3
        assert found["standing_url"] == f"/operations/checks/{failed.pk}/"
        ended("orders", CheckState.PASSED)
        found = named("orders")
        assert found["standing"] == 0

    def test_who_can_not_look_any_more_is_unknown_since_it_could(self, db: None) -> None:
        ended("orders", CheckState.ERROR, days=1)
        ended("orders", CheckState.FAILED, 3, days=2)
        ended("orders", CheckState.ERROR, days=3)
        ended("orders", CheckState.ERROR, days=4)
        assert named("orders")["unknown_since"] == (AT + timedelta(days=2)).timestamp()
        ended("orders", CheckState.PASSED, days=5)
        assert named("orders")["unknown_since"] is None

    def test_who_could_never_look_is_unknown_since_its_first_run(self, db: None) -> None:
        for days in (1, 2, 3):
            ended("orders", CheckState.ERROR, days=days)
        CheckRun.objects.create(name="ledger", state=CheckState.RUNNING)
        assert named("orders")["unknown_since"] == (AT + timedelta(days=1)).timestamp()
        assert named("ledger")["unknown_since"] is None


class TestRetention:
    @pytest.fixture(autouse=True)
    def nothing_kept(self) -> Iterator[None]:
        board.publishing().delete(outcome.KEY)
        yield
        board.publishing().delete(outcome.KEY)

    def test_before_its_first_turn_it_has_none(self) -> None:
        assert retention.facts({}) == {"at": None, "purges": []}

    def test_the_text_of_an_error_stays_in_the_log(self) -> None:
        outcome.keep(
            [
                Outcome("uploads", "UPLOAD_KEEP_HOURS", 3, 0.1, True, ""),
                Outcome("orders", "ORDER_KEEP_DAYS", 0, 0.1, False, "OperationalError: for ana"),
            ]
        )
        found = retention.facts({})
        assert found["at"] > AT.timestamp()
        assert [(each["deleted"], each["more"], each["error"]) for each in found["purges"]] == [
            (3, True, ""),
            (0, False, "OperationalError"),
        ]
