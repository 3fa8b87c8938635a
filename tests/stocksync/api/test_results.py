"""Trees, products and decisions of a job."""

from typing import Any

import pytest
from django.test import Client

from tests.api_client import error

from .syncing import (
    as_lines,
    begin,
    cancelled,
    created,
    path,
    purge,
    run,
    some_steps,
    synchronized,
    updated,
)

pytestmark = pytest.mark.django_db(transaction=True)

RESULTS = ("trees/", "products/1/", "decisions/")
ENDED = {"type": "ProductEnded", "id": 3, "timestamp": 50}
EVENTS = as_lines(
    created(9, None, 1, 5),  # a tree of its own
    updated(2, 30, 15),  # waits for 2, which comes below
    created(1, None, 10, 20),
    created(2, 1, 11, 20),
    updated(1, 12, 18),  # stale: 2 has a newer one
    created(3, None, 13, 4),
    ENDED,
    created(4, None, 14, 7),
    updated(4, 15, 0),
    '{"type": "ProductUpdated", "id": 2, "timestamp": 40}',  # no stock
    updated(77, 41, 1),  # never created
    "nonsense",
)


def pages(api: Client, address: str, size: int, **given: Any) -> list[list[dict]]:
    """All pages, to the end and back again."""
    answer = api.get(address, {"page_size": size, **given})
    found = []
    while True:
        assert answer.status_code == 200, answer.content
        page = answer.json()
        found.append(page["results"])
        if page["next"] is None:
            break
        answer = api.get(page["next"])
    back = [page["results"]]
    while page["previous"] is not None:
        page = api.get(page["previous"]).json()
        back.append(page["results"])
    assert [row for part in back[::-1] for row in part] == [row for part in found for row in part]
    return found


def rows(api: Client, address: str, **given: Any) -> list[dict]:
    sizes = [pages(api, address, size, **given) for size in (1, 2, 100)]
    flat = [[row for page in found for row in page] for found in sizes]
    assert flat[0] == flat[1] == flat[2]
    return flat[0]


def test_trees_come_as_they_were_created(api, user):
    job = synchronized(user, EVENTS)
    assert rows(api, path(job, "trees/")) == [
        {"root_id": 9, "products": 1, "active": 1, "stock": 5},
        {"root_id": 1, "products": 2, "active": 2, "stock": 15},
        {"root_id": 3, "products": 1, "active": 0, "stock": 4},
        {"root_id": 4, "products": 1, "active": 1, "stock": 0},
    ]


@pytest.mark.parametrize(("state", "roots"), [("sold_out", [4]), ("some_ended", [3])])
def test_trees_are_filtered(api, user, state, roots):
    job = synchronized(user, EVENTS)
    assert [row["root_id"] for row in rows(api, path(job, "trees/"), state=state)] == roots


def test_a_product_has_its_stock_and_tree(api, user):
    job = synchronized(user, EVENTS)
    tree = {"root_id": 1, "products": 2, "active": 2, "stock": 15}
    for product in (1, 2):
        assert api.get(path(job, f"products/{product}/")).json() == {
            "product_id": product, "stock": 15, "active": True, "tree": tree,
        }  # fmt: skip
    ended = api.get(path(job, "products/3/")).json()
    assert (ended["stock"], ended["active"]) == (4, False)


@pytest.mark.parametrize("product", [0, 77, 2**63 - 1, 2**63, 10**40])
def test_a_product_that_no_event_created_is_not_found(api, user, product):
    job = synchronized(user, EVENTS)
    found = error(api.get(path(job, f"products/{product}/")), 404)
    assert "no product" in found["message"]


def test_a_product_of_another_job_is_not_found(api, user):
    one, two = (synchronized(user, as_lines(created(n, None, 1, n))) for n in (1, 2))
    assert api.get(path(one, "products/1/")).status_code == 200
    assert api.get(path(two, "products/1/")).status_code == 404
    assert rows(api, path(one, "trees/"))[0]["root_id"] == 1


def test_the_largest_id_there_is_comes_and_goes(api, user):
    largest = 2**63 - 1
    job = synchronized(user, as_lines(created(largest, None, largest, largest)))
    shown = api.get(path(job, f"products/{largest}/")).json()
    assert shown["product_id"] == shown["stock"] == shown["tree"]["root_id"] == largest
    for name in ("product_id", "root_id"):
        (decision,) = rows(api, path(job, "decisions/"), **{name: largest})
        assert decision["timestamp"] == largest


def lines(found: list[dict]) -> list[tuple[int, str]]:
    return [(row["line"], row["verdict"]) for row in found]


DECIDED = [
    (1, "applied"),
    (3, "applied"),
    (4, "applied"),
    (2, "applied"),
    (5, "stale"),
    (6, "applied"),
    (7, "applied"),
    (8, "applied"),
    (9, "applied"),
    (10, "refused"),
    (12, "refused"),
    (11, "never_created"),
]


def test_decisions_come_in_the_order_in_which_they_took_effect(api, user):
    job = synchronized(user, EVENTS)
    found = rows(api, path(job, "decisions/"))
    assert lines(found) == DECIDED
    assert [row["seq"] for row in found] == list(range(1, 13))
    assert (found[3]["at_line"], found[3]["commands"]) == (4, 1)
    assert found[4]["reason"] == "timestamp 12 is not newer than 30"
    assert (found[9]["code"], found[9]["root_id"]) == ("missing_field", 1)
    assert found[10]["raw"] == "nonsense"
    assert (found[10]["kind"], found[10]["product_id"]) == ("", None)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"verdict": "stale"}, [5]),
        ({"verdict": "refused"}, [10, 12]),
        ({"verdict": "never_created"}, [11]),
        ({"root_id": 1}, [3, 4, 2, 5, 10]),
        ({"root_id": 1, "verdict": "applied"}, [3, 4, 2]),
        ({"product_id": 1}, [3, 5]),
        ({"product_id": 2}, [4, 2, 10]),
        ({"product_id": 2, "root_id": 1}, [4, 2, 10]),
        ({"product_id": 2, "root_id": 9}, []),
        ({"product_id": 2, "verdict": "refused"}, [10]),
        ({"product_id": 77}, [11]),
        ({"product_id": 78}, []),
        ({"root_id": 2}, []),
    ],
)
def test_decisions_are_filtered(api, user, given, expected):
    job = synchronized(user, EVENTS)
    assert [row["line"] for row in rows(api, path(job, "decisions/"), **given)] == expected


def test_what_came_before_a_product_is_told_too(api, user):
    """A refused line about a product that is in no tree then."""
    job = synchronized(
        user,
        as_lines(
            '{"type": "ProductUpdated", "id": 2}',
            created(1, None, 1, 5),
            '{"type": "ProductEnded", "id": 2}',
            created(2, 1, 2, 5),
            '{"type": "ProductEnded", "id": 2, "timestamp": -1}',
        ),
    )
    found = rows(api, path(job, "decisions/"), product_id=2)
    assert [(row["line"], row["root_id"]) for row in found] == [
        (1, None),
        (3, None),
        (4, 1),
        (5, 1),
    ]


@pytest.mark.parametrize(
    ("rest", "given"),
    [
        ("decisions/", {"verdict": "late"}),
        ("decisions/", {"root_id": "-1"}),
        ("decisions/", {"root_id": "1.0"}),
        ("decisions/", {"product_id": ""}),
        ("decisions/", {"product_id": "9" * 5000}),
        ("decisions/", {"product_id": str(2**63)}),
        ("decisions/", {"product_id": "٣"}),
        ("decisions/", {"line": "3"}),
        ("decisions/", {"page_size": "1001"}),
        ("decisions/", {"cursor": "x"}),
        ("trees/", {"state": "ended"}),
        ("trees/", {"root_id": "1"}),
        ("trees/", {"page_size": "0"}),
        ("products/1/", {"state": "x"}),
    ],
)
def test_a_wrong_parameter_is_named(api, user, rest, given):
    job = synchronized(user, EVENTS)
    assert list(error(api.get(path(job, rest), given), 400)["fields"]) == list(given)


def test_a_cursor_belongs_to_its_job(api, user):
    one, two = (synchronized(user, EVENTS) for _ in range(2))
    following = api.get(path(one, "trees/"), {"page_size": 1}).json()["next"]
    other = following.replace(path(one), path(two))
    assert list(error(api.get(other), 400)["fields"]) == ["cursor"]


def test_a_job_that_goes_on_has_decisions_but_no_results(api, user, settings):
    settings.STOCKSYNC_STEP_BYTES = 100
    job = some_steps(begin(user, EVENTS), 5)
    for rest in RESULTS[:2]:
        assert error(api.get(path(job, rest)), 409)["code"] == "not_ended"
    so_far = rows(api, path(job, "decisions/"))
    assert 0 < len(so_far) < len(DECIDED)
    assert lines(so_far) == DECIDED[: len(so_far)]
    of_one = api.get(path(job, "decisions/"), {"product_id": 1})
    assert error(of_one, 409)["code"] == "not_ended"
    run(job)
    assert lines(rows(api, path(job, "decisions/"))) == DECIDED


@pytest.mark.parametrize("rest", RESULTS)
def test_a_cancelled_job_has_no_results(api, user, rest):
    job = cancelled(user, EVENTS)
    assert error(api.get(path(job, rest)), 409)["code"] == "not_done"


@pytest.mark.parametrize("rest", RESULTS)
def test_results_that_were_let_go_of_are_gone(api, user, rest):
    job = synchronized(user, EVENTS)
    purge(job)
    assert error(api.get(path(job, rest)), 410)["code"] == "gone"


def test_of_too_many_events_no_decisions_are_kept(api, user, settings):
    settings.STOCKSYNC_TRACE_EVENTS = 3
    job = synchronized(user, EVENTS)
    assert api.get(path(job)).json()["traced"] is False
    found = error(api.get(path(job, "decisions/")), 409)
    assert (found["code"], "too many events" in found["message"]) == ("not_traced", True)
    assert len(rows(api, path(job, "trees/"))) == 4


def test_a_page_takes_few_queries(api, user, django_assert_max_num_queries):
    job = synchronized(user, EVENTS)
    for rest in (*RESULTS, "decisions/?product_id=2"):
        with django_assert_max_num_queries(6):
            assert api.get(path(job, rest)).status_code == 200


def test_an_empty_file_of_comments_has_empty_results(api, user):
    job = synchronized(user, b"// nothing today\n\n")
    assert rows(api, path(job, "trees/")) == []
    assert rows(api, path(job, "decisions/")) == []
    assert api.get(path(job, "products/1/")).status_code == 404
