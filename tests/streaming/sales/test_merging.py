"""Snapshots of several instances made one; no Redis, no clock."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.sales.merging import curve, merge, selling, top
from streaming.sales.overview import Overview, Replay
from tests.streaming import showing
from tests.streaming.showing import partition

EVERY = 1.0


def snapshot(instance: str = "a", **values: Any) -> dict[str, Any]:
    return showing.snapshot(
        instance, **{"group": "sales", "at": 100.0, "age_seconds": 0.5, **values}
    )


def merged(*snapshots: dict[str, Any]) -> Overview:
    return merge(snapshots, "sales", EVERY)


def test_nothing_is_there_without_snapshots():
    assert merged() == Overview("sales")
    assert merged(snapshot(group="other")) == Overview("sales", other_groups=["other"])


def test_after_a_rebalance_the_newer_snapshot_owns_the_partition():
    old = snapshot(
        "a",
        at=100.0,
        partitions=[partition(0, position=10), partition(1, position=20)],
        top=[showing.selling("A", partition=0), showing.selling("B", partition=1)],
    )
    new = snapshot(
        "b",
        at=101.0,
        partitions=[partition(1, position=25)],
        top=[showing.selling("B", "3.0", partition=1)],
    )
    for given_ in ([old, new], [new, old]):
        found = merge(given_, "sales", EVERY)
        assert [(each.instance, each.position) for each in found.partitions] == [
            ("a", 10),
            ("b", 25),
        ]
        assert [(row.stock_code, row.sum) for row in found.top] == [
            ("A", Decimal("12.50")),
            ("B", Decimal("3.0")),
        ]
        assert [(each.instance, each.partitions) for each in found.instances] == [
            ("a", [0]),
            ("b", [1]),
        ]
        assert found.keys == 80 and found.lag == 20


def test_rates_are_those_of_instances_that_still_speak():
    fresh, frozen = (
        snapshot("a", rate_in=10.0),
        snapshot("b", at=90.0, rate_in=99.0, age_seconds=5.0),
    )
    found = merged(fresh, frozen)
    assert found.rate_in == 10.0 and not found.stale
    assert [each.stale for each in found.instances] == [False, True]
    owner = snapshot("c", at=90.0, partitions=[partition(3)], age_seconds=5.0)
    assert merged(snapshot("a", partitions=[]), owner).stale, "nobody who speaks has a partition"
    alone = merged(frozen)
    assert alone.rate_in == 99.0 and alone.stale and alone.age_seconds == 5.0


@pytest.mark.parametrize(
    ("age_seconds", "every", "stale"),
    [(3.0, None, False), (3.1, None, True), (8.0, 4.0, False), (9.1, 4.0, True)],
)
def test_rare_snapshots_are_old_later(age_seconds, every, stale):
    one = snapshot(age_seconds=age_seconds, **({} if every is None else {"every_seconds": every}))
    assert merged(one).stale is stale


@pytest.mark.parametrize(
    ("states", "halted", "expected"),
    [
        (["running", "waiting"], False, "running"),
        (["running", "replaying"], False, "replaying"),
        (["waiting", "starting"], False, "waiting"),
        (["starting"], False, "starting"),
        (["running", "replaying"], True, "halted"),
    ],
)
def test_the_state_that_matters_most_is_that_of_all(states, halted, expected):
    snapshots = [
        snapshot(str(number), state=state, partitions=[partition(number)])
        for number, state in enumerate(states)
    ]
    if halted:
        reason = {"offset": 1, "reason": "no_key", "detail": "", "advice": ""}
        snapshots[0]["partitions"] = [partition(0, halted=reason)]
    assert merged(*snapshots).state == expected


def test_partitions_are_counted_by_whoever_knows_most():
    waits = snapshot("w", at=200.0, state="waiting", partitions=[], partition_count=0)
    for name in ("topics", "window_seconds"):
        waits.pop(name)
    found = merged(waits, snapshot("a", partitions=[partition(2)], partition_count=4))
    assert [each.state for each in found.partitions] == ["nobody", "nobody", "running", "nobody"]
    assert found.nobodys == [0, 1, 3]
    assert found.window_seconds == 600.0 and found.topics["input"] == "data"


@pytest.mark.parametrize(
    ("begin", "at", "to", "percent"),
    [(0, 0, 10, 0), (10, 15, 20, 50), (10, 25, 20, 100), (10, 5, 20, 0), (7, 7, 7, 100)],
)
def test_a_replay_is_between_nothing_and_all(begin, at, to, percent):
    assert Replay(begin, at, to).percent == percent


def test_replays_of_several_partitions_are_one():
    found = merged(
        snapshot(
            partitions=[
                partition(0, replay={"from": 0, "at": 100, "to": 100}),
                partition(1, replay={"from": 500, "at": 500, "to": 800}),
                partition(2),
            ]
        )
    )
    assert found.replay == Replay(0, 100, 400) and found.replay.percent == 25
    assert merged(snapshot()).replay is None


def test_a_lag_that_nobody_knows_is_unknown():
    assert merged(snapshot(partitions=[partition(0, lag=None)])).lag is None
    assert merged(snapshot(partitions=[partition(0, lag=None), partition(1, lag=0)])).lag == 0


def test_the_filter_looks_into_all_and_gives_fifty():
    rows = [showing.selling(f"C{number:03}", f"{number}.0") for number in range(80)]
    found = merged(snapshot(top=rows))
    assert [row.stock_code for row in top(found)][:2] == ["C079", "C078"] and len(top(found)) == 50
    assert [row.stock_code for row in top(found, " c00 ")] == [f"C00{n}" for n in range(9, -1, -1)]


def test_one_stock_code_is_found_beyond_the_largest():
    known = {"sum": "0.1", "sales": 1, "last_at": 5.0, "partition": 1}
    one = snapshot("a", partitions=[partition(1)], selling={"rare": known})
    gone = snapshot(
        "b", at=50.0, partitions=[partition(1)], selling={"rare": {**known, "sum": "9"}}
    )
    found = merged(one, gone)
    assert [row.sum for row in selling([one, gone], found, "rare")] == [Decimal("0.1")]
    assert selling([one, gone], found, "Rare") == []


def test_of_two_curves_the_one_that_goes_on_longer_is_shown():
    one = snapshot("a", curves={"A": showing.curve("1.0", "2.0"), "B": []})
    two = snapshot("b", curves={"A": showing.curve("3.0", "4.5", begin=showing.AT)})
    for snapshots in ([one, two], [two, one]):
        assert [amount for _, amount in curve(snapshots, "sales", "A")] == [
            Decimal("3.0"),
            Decimal("4.5"),
        ]
    assert curve([one], "sales", "B") == [] and curve([one], "sales", "C") is None
    assert curve([one, two], "sales", "B") is None, "the other has not answered"
    waits = snapshot("w", partitions=[])
    assert curve([one, waits], "sales", "B") == [] and curve([waits], "sales", "B") is None
    assert curve([one], "other", "A") is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.integers(0, 5),
            st.sets(st.integers(0, 4)),
        ),
        max_size=6,
        unique_by=lambda each: each[0],
    )
)
def test_each_partition_has_one_owner_the_newest(said):
    """Against an obvious oracle: go through the partitions one by one."""
    snapshots = [
        snapshot(name, at=float(at), partitions=[partition(n) for n in sorted(numbers)])
        for name, at, numbers in said
    ]
    found = {each.partition: each.instance for each in merged(*snapshots).partitions}
    for number in range(5):
        claims = [(at, name) for name, at, numbers in said if number in numbers]
        if claims:
            newest = {name for at, name in claims if at == max(claims)[0]}
            assert found[number] in newest
        else:
            assert found.get(number) is None
