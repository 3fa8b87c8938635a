"""What a sample gets from the ones before it."""

from typing import Any

from config.operations import joining

from .example import AT, EXAMPLE

SALES = {"kind": "sales", "last_hour": 0, "total": None, "url": "/sales/"}


def sales(refused: int, pid: int = 1) -> dict[str, Any]:
    row = {"name": "sales", "host": "one", "pid": pid, "state": "running"}
    return {**row, "lag": 0, "rate": 1.0, "refused": refused}


def joined(
    before: dict[str, Any] | None = None,
    points: Any = (),
    at: float = AT,
    **sections: Any,
) -> dict[str, Any]:
    return joining.joined(
        {"rejects": [], "consumers": [], "queues": [], **sections},
        before or {},
        points,
        at=at,
        cost_seconds=0.1,
        queue_of={"ledger": "incoming_transactions", "orders": "orders"},
        sales=SALES,
    )


def test_the_example_has_what_a_point_needs() -> None:
    made = joined(**{name: EXAMPLE[name] for name in EXAMPLE if name not in ("at", "cost_seconds")})

    point = joining.point(made)

    assert point["at"] == AT
    assert point["queue_waiting"] == 15
    assert point["lag"] == 52
    assert point["deliveries_due"] == 4
    assert point["rollup_lateness_seconds"] == 0.4
    assert point["sales_rate"] == 812.5
    assert point["orders_open"] == 25


def test_what_nobody_knows_is_no_zero() -> None:
    away = {"error": "Redis does not answer"}

    point = joining.point(joined(queues=away, consumers=away, deliveries=away, requests=away))

    assert {point[name] for name in point if name not in ("at", "refused")} == {None}


def test_a_queue_is_the_lag_of_its_consumers_once() -> None:
    ledger = {"name": "ledger", "host": "one", "state": "running", "lag": None, "rate": 1.0}
    queue = {"name": "incoming_transactions", "waiting": 7}
    crashed = {**ledger, "pid": 1, "state": "crashed"}

    found = joined(consumers=[crashed, {**ledger, "pid": 2}, {**ledger, "pid": 3}], queues=[queue])

    assert [each["lag"] for each in found["consumers"]] == [None, 7, None]


def test_refused_sales_are_counted_over_restarts() -> None:
    first = joined(consumers=[sales(5)])
    second = joined(first, consumers=[sales(8)])
    began_anew = joined(second, consumers=[sales(2, pid=9)])

    assert [each["sales_refused"] for each in (first, second, began_anew)] == [0, 3, 5]


def test_refused_sales_are_not_counted_twice_after_an_outage() -> None:
    first = joined(consumers=[sales(5)])
    away = joined(first, consumers={"error": "Redis does not answer"})
    back = joined(away, consumers=[sales(6)])

    assert back["sales_refused"] == 1


def test_an_instance_that_one_sample_has_missed_is_not_counted_anew() -> None:
    first = joined(consumers=[sales(5), sales(7, pid=2)])
    missed = joined(first, consumers=[sales(5)])
    back = joined(missed, consumers=[sales(5), sales(8, pid=2)])

    assert [each["sales_refused"] for each in (first, missed, back)] == [0, 0, 1]


def test_instances_that_are_gone_are_not_remembered_for_ever() -> None:
    sample: dict[str, Any] = {}
    for pid in range(150):
        sample = joined(sample, consumers=[sales(1, pid=pid)])

    assert len(sample["sales_refused_by"]) == 100


def test_rejects_of_the_hour_are_those_since_its_first_point() -> None:
    before = joined(consumers=[sales(0)])
    rows = [{"kind": "prices", "last_hour": 0, "total": 50, "url": ""}]
    points = [{"at": AT - 3000, "refused": {"sales": 0, "prices": 20}}, {"at": AT - 10}]

    found = joined(before, points, consumers=[sales(4)], rejects=rows)

    assert [(each["kind"], each["last_hour"]) for each in found["rejects"]] == [
        ("sales", 4),
        ("prices", 30),
    ]


def test_nothing_was_refused_before_there_are_points() -> None:
    rows = [{"kind": "prices", "last_hour": 0, "total": 50, "url": ""}]

    assert [each["last_hour"] for each in joined(rejects=rows)["rejects"]] == [0, 0]


def test_rejects_that_nobody_could_ask_for_stay_an_error() -> None:
    away = {"error": "PostgreSQL does not answer"}

    assert joined(rejects=away)["rejects"] == away


def test_requests_have_a_rate_from_the_second_sample_on() -> None:
    first = joined(requests={"total": 100})
    second = joined(first, at=AT + 10, requests={"total": 250})
    counted_anew = joined(second, at=AT + 20, requests={"total": 1})

    rates = [each["requests"]["per_second"] for each in (first, second, counted_anew)]
    assert rates == [None, 15.0, 0]


def test_a_role_that_was_seen_is_never_forgotten() -> None:
    web = {"role": "web", "host": "one", "pid": 1}
    first = joined(processes=[web, {**web, "role": "beat"}])
    second = joined(first, at=AT + 3600, processes=[web])
    next_year = joined(second, at=AT + 366 * 86_400, processes=[web])

    assert second["roles_seen"] == next_year["roles_seen"] == ["beat", "web"]
    assert next_year["roles_seen_at"] == {"beat": AT, "web": AT + 366 * 86_400}


def test_roles_stay_known_while_nobody_knows_the_processes() -> None:
    first = joined(processes=[{"role": "web", "host": "one", "pid": 1}])

    away = joined(first, at=AT + 10, processes={"error": "Redis does not answer"})

    assert away["roles_seen"] == ["web"]
