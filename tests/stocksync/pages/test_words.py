"""Events, states and jobs in words."""

import pytest
from django.conf import settings

from stocksync.engine import refusals
from stocksync.models import SyncDecision, SyncTree
from stocksync.results import job_words, words
from stocksync.results.rejects import Reject


def decision(kind: str = "ProductUpdated", **values) -> SyncDecision:
    values = {"line": 5, "at_line": 5, "product_id": 3, "stock": 1900, **values}
    return SyncDecision(kind=kind, **values)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (decision(), "product 3: stock 1,900"),
        (decision("ProductCreated", stock=4), "product 3 created, stock 4"),
        (decision("ProductCreated", parent_id=1), "product 3 created below product 1, stock 1,900"),
        (decision("ProductEnded", stock=None), "product 3 ended"),
        (decision("ProductUpdated", stock=None), "update of product 3"),
        (decision("", stock=None), "event of unknown type about product 3"),
        (decision("ProductEnded", product_id=None), "end of a product"),
        (decision("", product_id=None), ""),
    ],
)
def test_an_event_says_what_it_was_about_as_far_as_it_could_be_read(event, said):
    assert words.of_event(event) == said


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ({"type": "UpdateProduct", "id": 2000, "stock": 9000}, "product 2000 gets stock 9,000"),
        ({"type": "EndProduct", "id": 1}, "product 1 is ended"),
    ],
)
def test_a_command_says_what_to_do(command, said):
    assert words.of_command(command) == said


def test_a_child_waits_for_its_parent_and_an_update_for_its_product():
    child = decision("ProductCreated", parent_id=1, at_line=1200)
    assert words.waited(child) == "waited for product 1 until line 1,200"
    assert words.waited(decision(at_line=7)) == "waited for product 3 until line 7"
    assert words.waited(decision()) == ""


def test_a_stale_event_says_whose_clock_it_was_behind():
    stale = decision(verdict="stale", reason="timestamp 128 is not newer than 129")
    assert words.why(stale, "tree").endswith("than 129, the last stock of this tree")
    assert words.why(stale, "global").endswith("than 129, the last stock of any tree")
    assert words.why(decision(verdict="refused", reason="stock is missing"), "tree") == (
        "stock is missing"
    )


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("{'type': 'ProductUpdated',", "cut off: an event must be on one line (not JSON)"),
        ("'id': 3}", "an event begins with { (not JSON)"),
        ("{'type': Moved}", "not JSON"),
    ],
)
def test_a_line_that_is_no_event_says_what_is_usually_wrong_with_it(raw, said):
    line = Reject(7, "malformed", "not JSON", raw)
    assert words.why_refused(line) == said
    assert words.why(decision(verdict="refused", code="malformed", reason="not JSON", raw=raw), "")


@pytest.mark.parametrize(
    ("stock", "active", "root_active", "text", "more"),
    [
        (5, 3, True, "in step", ""),
        (0, 1, False, "sold out", "1 of 3 active"),
        (0, 3, True, "sold out", "3 of 3 active"),
        (5, 0, False, "all ended", ""),
        (5, 1, False, "parent ended", "1 of 3 active"),
        (5, 2, True, "some ended", "2 of 3 active"),
    ],
)
def test_a_tree_says_how_it_ended_up(stock, active, root_active, text, more):
    state = words.of_tree(SyncTree(products=3, active=active, stock=stock), root_active)
    assert (state.text, state.more) == (text, more)


def snapshot(**values) -> dict:
    counts = {"events": 13, "applied": 9, "commands": {"UpdateProduct": 8, "EndProduct": 2}}
    return {
        "state": "running",
        "ended": False,
        "cancel_requested": False,
        "silent_seconds": 0.2,
        "read_bytes": 3_200_000,
        "size_bytes": 10_400_000,
        "seconds_left": 12.4,
        "started_at": None,
        "finished_at": None,
        "counts": counts,
        **values,
    }


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"state": "queued"}, "Waiting for a worker"),
        ({}, "Reading 3.2 MB of 10 MB"),
        ({"read_bytes": 10_400_000}, "Writing down how each product ended up"),
        ({"cancel_requested": True}, "Cancelling…"),
        (
            {"silent_seconds": 7.3},
            "No sign of the worker for 7 s; another one takes over by itself",
        ),
        ({"state": "done"}, "Done: 13 events gave 10 commands; 4 events did not take effect"),
        ({"state": "failed"}, "Failed after 3.2 MB of 10 MB"),
        ({"state": "cancelled"}, "Cancelled after 3.2 MB of 10 MB"),
    ],
)
def test_a_job_says_what_happens_now(values, said):
    assert job_words.doing(snapshot(**values)) == said


def test_a_file_without_events_says_so():
    empty = {"events": 0, "applied": 0, "commands": {}}
    assert job_words.doing(snapshot(state="done", counts=empty)) == ("Done: the file has no events")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, ""), (0.4, "nearly there"), (12.4, "about 12 s left"), (200, "about 3 min left")],
)
def test_the_time_left_is_rough(seconds, said):
    assert job_words.left(snapshot(seconds_left=seconds)) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0 bytes"), (1, "1 byte"), (1_100, "1.1 kB"), (10_400_000, "10 MB"), (2e9, "2.0 GB")],
)
def test_sizes_are_in_decimal_units(number, said):
    assert job_words.size(int(number)) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (999, "999 bytes"),
        (1000, "1 kB"),
        (1024**3, "1.07 GB"),
        (1_100_000_000, "1.1 GB"),
        (16 * 1024**2, "16.77 MB"),
        (2 * 10**15, "2000 TB"),
    ],
)
def test_a_limit_is_rounded_down(number, said):
    assert job_words.limit(number) == said


def test_every_refusal_of_the_engine_has_its_words():
    codes = {code for name, code in vars(refusals).items() if name.isupper()}
    assert codes - {refusals.NEVER_CREATED} == set(words.REASONS)


def test_the_guide_knows_what_the_pages_call_each_reason():
    guide = (settings.BASE_DIR / "docs" / "stock-sync.md").read_text()
    missing = [
        code for code, name in words.REASONS.items() if f"| `{code}` | *{name}*:" not in guide
    ]
    assert missing == []
