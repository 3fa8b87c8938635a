"""What the sample has of checks and of retention."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from config.checks.models import CheckRun, CheckState
from config.checks.registry import ALL
from config.live import board
from config.operations.facts import checks, retention
from config.retention import outcome
from config.retention.outcome import Outcome

AT = datetime(2026, 1, 2, 3, tzinfo=UTC)


def ended(name: str, state: CheckState, found: int = 0) -> CheckRun:
    return CheckRun.objects.create(name=name, state=state, found=found, finished_at=AT)


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
        (found,) = [each for each in checks.facts({}) if each["name"] == "orders"]
        assert found == {
            "name": "orders",
            "title": "Orders",
            "state": "failed",
            "found": 3,
            "finished_at": AT.timestamp(),
            "url": f"/operations/checks/{last.pk}/",
            "standing": 3,
            "standing_url": f"/operations/checks/{last.pk}/",
        }

    def test_a_run_that_could_not_look_takes_nothing_back(self, db: None) -> None:
        failed = ended("orders", CheckState.FAILED, 3)
        away = ended("orders", CheckState.ERROR)
        (found,) = [each for each in checks.facts({}) if each["name"] == "orders"]
        assert (found["state"], found["url"]) == ("error", f"/operations/checks/{away.pk}/")
        assert found["standing"] == 3
        assert found["standing_url"] == f"/operations/checks/{failed.pk}/"
        ended("orders", CheckState.PASSED)
        (found,) = [each for each in checks.facts({}) if each["name"] == "orders"]
        assert found["standing"] == 0


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
