"""Which jobs are under way, and which stand still."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from config.operations.facts import jobs, rejects
from products.models import BulkChange, Import, Upload
from stocksync.models import StoredFile, SyncJob


def job(progress: str = "a", has_work: bool = True, number: int = 1) -> dict[str, Any]:
    return {"kind": "import", "id": number, "progress": progress, "has_work": has_work}


def looks(*seen: list[dict[str, Any]]) -> list[bool]:
    """Whether the first job stalls at each of these looks, 30 s apart, where 60 s is too long."""
    before: dict[str, Any] = {}
    found = []
    for number, rows in enumerate(seen):
        before = {"jobs": jobs.marked(rows, before, 30.0 * number, 60.0)}
        found.append(before["jobs"][0]["stalled"])
    return found


def test_a_job_that_gets_on_does_not_stall() -> None:
    assert looks([job("a")], [job("b")], [job("c")], [job("d")]) == [False] * 4


def test_a_job_that_does_not_get_on_stalls() -> None:
    assert looks([job()], [job()], [job()], [job("b")]) == [False, False, True, False]


def test_a_job_that_waits_for_its_user_does_not_stall() -> None:
    waits = job(has_work=False)
    assert looks([waits], [waits], [waits], [job()], [job()]) == [False] * 5


def test_jobs_are_told_apart() -> None:
    assert looks([job(number=1)], [job(number=2)], [job(number=2)]) == [False] * 3


def test_after_an_error_it_begins_to_count_anew() -> None:
    before = {"jobs": {"error": "PostgreSQL does not answer"}}
    assert jobs.marked([job()], before, 1000.0, 60.0)[0]["stalled"] is False


@pytest.fixture
def upload(db: None) -> Upload:
    later = timezone.now() + timedelta(days=1)
    return Upload.objects.create(
        file_name="products.csv", size_bytes=1000, offset=400, expires_at=later
    )


def test_an_import_is_shown_as_far_as_it_is(upload: Upload) -> None:
    at = timezone.now()
    made = Import.objects.create(
        upload=upload, state="merging", merge_line=30, last_line=120, heartbeat_at=at
    )

    (found,) = jobs.facts({})

    assert found["kind"] == "import"
    assert (found["id"], found["name"], found["state"]) == (made.pk, "products.csv", "merging")
    assert (found["done"], found["total"]) == (30, 120)
    assert found["beaten_at"] == at.timestamp()
    assert found["url"] == f"/imports/{made.pk}/"
    assert (found["has_work"], found["stalled"]) == (True, False)


@pytest.mark.parametrize(
    ("state", "has_work"), [("receiving", False), ("reading", True), ("ready", False)]
)
def test_an_import_may_wait_for_its_user(upload: Upload, state: str, has_work: bool) -> None:
    Import.objects.create(upload=upload, state=state)

    assert jobs.facts({})[0]["has_work"] is has_work


def test_an_attempt_in_vain_is_no_progress(upload: Upload) -> None:
    made = Import.objects.create(upload=upload, state="reading", stalls=1)
    (first,) = jobs.facts({})
    Import.objects.filter(pk=made.pk).update(stalls=2, claim=5, heartbeat_at=timezone.now())
    (second,) = jobs.facts({"jobs": [first]})

    assert second["since"] == first["since"]


def test_bulk_changes_and_syncs_are_jobs_too(db: None) -> None:
    change = BulkChange.objects.create(
        action="delete", by_name="ana", expected=10, matched=4, last_id=9
    )
    files = [StoredFile.objects.create(name=name, size_bytes=50) for name in "abc"]
    sync = SyncJob.objects.create(
        events=files[0], output=files[1], rejects=files[2], read_bytes=20, state="running"
    )

    found = [
        (each["kind"], each["id"], each["name"], each["done"], each["total"], each["url"])
        for each in jobs.facts({})
    ]

    assert found == [
        ("bulk change", change.pk, "Delete", 4, 10, f"/products/bulk/{change.pk}/"),
        ("stock sync", sync.pk, "a", 20, 50, f"/stocksync/{sync.pk}/"),
    ]


def test_what_has_ended_is_no_job(upload: Upload) -> None:
    Import.objects.create(upload=upload, state="done")

    assert jobs.facts({}) == []


def test_rejects_of_the_last_hour_are_counted(upload: Upload) -> None:
    long_ago = timezone.now() - timedelta(hours=2)
    for rejected, times in (
        (3, {}),
        (5, {"created_at": long_ago, "finished_at": timezone.now()}),
        (7, {"created_at": long_ago, "finished_at": long_ago}),
    ):
        Import.objects.create(upload=upload, state="done", rejected=rejected, **times)
    files = [StoredFile.objects.create(name=name) for name in "abc"]
    for refused in ({"bad": 2, "late": 3}, None):
        SyncJob.objects.create(
            events=files[0],
            output=files[1],
            rejects=files[2],
            counts={} if refused is None else {"refused": refused},
        )

    found = {each["kind"]: each["last_hour"] for each in rejects.of_database({})}

    assert found == {"imports": 8, "stock sync": 5, "webhooks": 0}
