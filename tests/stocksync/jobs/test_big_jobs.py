"""Jobs whose engine is large, or whose events bring very many commands."""

import json

import pytest

from stocksync.jobs import run as runs
from stocksync.models import SyncJob

from .expected import expect
from .syncing import begin, check, run, step_by_step

pytestmark = pytest.mark.django_db(transaction=True)


def line(kind: str, **fields: int | None) -> bytes:
    return json.dumps({"type": f"Product{kind}", **fields}).encode() + b"\n"


def hot_tree(children: int, updates: int) -> bytes:
    """One tree of which each update brings a command for every other product."""
    created = [line("Created", id=1, timestamp=1, stock=1, parent_id=None)]
    created += [
        line("Created", id=2 + n, timestamp=2 + n, stock=1, parent_id=1) for n in range(children)
    ]
    return b"".join(
        created
        + [line("Updated", id=1, timestamp=10**6 + n, stock=2 + n % 2) for n in range(updates)]
    )


def test_a_hot_tree_is_worked_off_in_bounded_steps(user, monkeypatch):
    monkeypatch.setattr(runs, "STEP_OUTPUT_BYTES", 500_000)
    data = hot_tree(3_000, 60)
    grown: list[int] = []
    append = runs.Run._append_output

    def measured(self, output):
        grown.append(len(output))
        append(self, output)

    monkeypatch.setattr(runs.Run, "_append_output", measured)

    job = run(begin(user, data))

    check(job, expect(data))
    a_command_each = 3_000 * len('{"type": "UpdateProduct", "id": 1000, "stock": 3}\n')
    # What one piece of the events brings may be above the bound, no more.
    assert max(grown) < 500_000 + a_command_each * (runs.PIECE_BYTES // 60 + 1)
    assert sorted(grown)[-2] < 500_000 + 3 * a_command_each
    assert len(grown) > 10


def test_the_state_of_many_products_is_kept_in_pieces(user, settings, monkeypatch):
    step_by_step(settings, monkeypatch, 1_000_000)
    data = b"".join(
        line("Created", id=n, timestamp=n, stock=n % 50, parent_id=n - n % 3 if n % 3 else None)
        for n in range(25_000)
    )
    data += line("Updated", id=3, timestamp=10**6, stock=77)

    job = run(begin(user, data))

    check(job, expect(data))
    assert SyncJob.objects.get(pk=job.pk).checkpoint_state.size_bytes > 500_000


def test_events_that_wait_are_kept_too(user, settings, monkeypatch):
    step_by_step(settings, monkeypatch, 20_000)
    children = [
        line("Created", id=10_000 + n, timestamp=n, stock=1, parent_id=n) for n in range(600)
    ]
    updates = [line("Updated", id=10_000 + n, timestamp=10**6 + n, stock=5) for n in range(600)]
    parents = [line("Created", id=n, timestamp=10 + n, stock=2, parent_id=None) for n in range(500)]
    data = b"".join(children + updates + parents)

    job = run(begin(user, data))

    check(job, expect(data))
    assert job.counts["never_created"] == 200
    assert job.counts["waited"] == 1_000
