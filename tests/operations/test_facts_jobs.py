"""Which jobs are under way, and which stand still."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from typing import Any

import pytest
from django.utils import timezone

from config.operations.facts import jobs, rejects
from products.models import BulkChange, Import, Upload
from stocksync.models import StoredFile, SyncJob

Row = dict[str, Any]


def job(
    progress: str = "a", has_work: bool = True, number: int = 1, waits_its_turn: bool = False
) -> Row:
    row = {"kind": "import", "id": number, "progress": progress, "has_work": has_work}
    return {**row, "waits_its_turn": waits_its_turn}


QUEUED = job("queued 0", waits_its_turn=True)


def looks(*seen: list[Row]) -> list[bool]:
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


def busy(kind: str = "import") -> Iterator[Row]:
    """Another job, which gets on from look to look."""
    return ({**job(str(step), number=2), "kind": kind} for step in count())


def test_who_waits_while_workers_are_busy_does_not_stall() -> None:
    assert looks(*([QUEUED, other] for other in islice(busy(), 11))) == [False] * 11
    other_kind = islice(busy("stock sync"), 11)
    assert looks(*([QUEUED, other] for other in other_kind)) == [False] * 11


def test_who_waits_while_nobody_gets_on_stalls() -> None:
    other = job(number=2)
    assert looks(*[[QUEUED, other]] * 4) == [False, False, True, True]
    assert looks(*[[QUEUED]] * 4) == [False, False, True, True]


def test_who_waits_stalls_once_the_others_have_stopped() -> None:
    others = [*islice(busy(), 5), *[job("4", number=2)] * 3]
    assert looks(*([QUEUED, other] for other in others)) == [False] * 6 + [True] * 2


def test_that_others_end_is_that_workers_work() -> None:
    queue = [[QUEUED, *(job(number=n) for n in range(2, last))] for last in range(8, 1, -1)]
    assert looks(*queue, [QUEUED], [QUEUED]) == [False] * 8 + [True]


def test_jobs_that_only_come_are_no_sign_of_work() -> None:
    queues = [[QUEUED, *(job("x", number=n) for n in range(2, last))] for last in range(2, 6)]
    assert looks(*queues) == [False, False, True, True]


def test_uploads_that_come_and_go_are_no_sign_of_work() -> None:
    waits = [job(str(step), has_work=False, number=2) for step in range(4)]
    assert looks(*([QUEUED, other] for other in waits)) == [False, False, True, True]


def test_who_is_held_stalls_though_others_get_on() -> None:
    looked = looks(*([job("silent since 12:03"), other] for other in islice(busy(), 4)))
    assert looked == [False, False, True, True]


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


@pytest.mark.parametrize(
    ("columns", "waits"),
    [
        ({}, True),
        ({"state": "merging"}, True),
        ({"heartbeat_at": datetime(2026, 1, 2, tzinfo=UTC)}, False),
        ({"stalls": 1, "error": "OperationalError: disk full"}, False),
    ],
    ids=["new", "between two steps", "its holder died", "tried in vain"],
)
def test_who_waits_its_turn(upload: Upload, columns: dict[str, Any], waits: bool) -> None:
    Import.objects.create(upload=upload, **{"state": "reading", **columns})

    assert jobs.facts({})[0]["waits_its_turn"] is waits


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
