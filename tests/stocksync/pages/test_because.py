"""Why an event has its commands: each rule in words, and that what is said is so."""

import json
import random

import pytest

from stocksync.engine.synchronizer import Synchronizer
from stocksync.models import SyncDecision
from stocksync.results import tree_events, words
from stocksync.results.commands import Command

from .histories import created, ended, lines, updated

CASES = [
    ([created(1, 10)], "a new tree"),
    ([created(1, 10), created(2, 20, parent=1)], "in step already"),
    ([created(1, 10), created(2, 20, 7, parent=1)], "newer than its tree's stock"),
    (
        [created(1, 10), created(2, 20, 0, parent=1)],
        "newer than its tree's stock: all others are ended",
    ),
    ([created(1, 10), created(2, 5, 7, parent=1)], "not newer than its tree's stock 10"),
    ([created(1, 10, 0), created(2, 5, 7, parent=1)], "its tree was sold out"),
    (
        [created(1, 10), ended(1, 30), created(2, 20, 10, parent=1)],
        "created before its parent's end (line 2), by its timestamp",
    ),
    (
        [created(1, 10), updated(1, 25, 7), ended(1, 30), created(2, 20, 5, parent=1)],
        "not newer than its tree's stock 7; created before its parent's end (line 3),"
        " by its timestamp",
    ),
    (
        [created(1, 10), ended(1, 30), created(2, 20, 5, parent=1)],
        "newer than its tree's stock; created before its parent's end (line 2), by its timestamp",
    ),
    ([created(1, 10), created(2, 11, parent=1), updated(1, 20, 7)], "the newest stock of its tree"),
    ([created(1, 10), created(2, 11, parent=1), updated(1, 20, 10)], "in step already"),
    ([created(1, 10), updated(1, 20, 0)], "the tree has no other product"),
    (
        [created(1, 10), created(2, 11, parent=1), updated(2, 20, 0)],
        "sold out: all others are ended",
    ),
    (
        [created(1, 10), created(2, 11, parent=1), ended(2, 20)],
        "the end of a child concerns no other product",
    ),
    (
        [created(1, 10), created(2, 11, parent=1), ended(1, 20)],
        "its children that were created before it, by their timestamps",
    ),
    (
        [created(1, 10), created(2, 11, parent=1), ended(1, 9)],
        "no children were created before it, by their timestamps",
    ),
]


@pytest.mark.django_db(transaction=True)
def test_each_rule_is_said_on_the_page_of_a_tree(done):
    for events, said in CASES:
        rows = tree_events.find(done(lines(*events)), 1).rows
        assert rows[-1].because == said, events


@pytest.mark.django_db(transaction=True)
def test_where_a_parent_ended_too_often_to_look_nothing_is_said(done, monkeypatch):
    monkeypatch.setattr(tree_events, "MOST_ENDS", 1)
    job = done(lines(created(1, 10), ended(1, 30), ended(1, 31), created(2, 20, parent=1)))
    *before, last = (row.because for row in tree_events.find(job, 1).rows)
    assert last == "" and all(before)


def test_with_one_clock_for_all_it_is_said_whose_stock_was_newer():
    event = SyncDecision(kind="ProductCreated", product_id=2, root_id=1, stock=5, commands=1)
    commands = [Command(0, 2, 7, "")]
    assert words.because(event, commands, None, "global") == (
        "not newer than the last stock of any tree; its own has 7"
    )


def test_nothing_is_said_of_commands_that_are_gone():
    event = SyncDecision(kind="ProductCreated", product_id=2, root_id=1, stock=5, commands=1)
    assert words.because(event, [], None, "tree") == ""


def chance_events(chance: random.Random):
    for _ in range(40):
        product, timestamp = chance.randrange(1, 8), chance.randrange(60)
        kind = chance.random()
        if kind < 0.35:
            parent = chance.choice([None, 1, 2, 2]) if product > 2 else None
            yield created(product, timestamp, chance.randrange(3), parent)
        elif kind < 0.8:
            yield updated(product, timestamp, chance.randrange(3))
        else:
            yield ended(product, timestamp)


@pytest.mark.parametrize("clock", ["tree", "global"])
@pytest.mark.parametrize("seed", range(60))
def test_what_is_said_is_so_whatever_happened_before(clock, seed):
    sync = Synchronizer(clock=clock, trace=True)
    ends: list[SyncDecision] = []
    for event in chance_events(random.Random(seed)):
        before = {
            tree.root: (tree.level, tree.clock.time, tree.ended_at, len(tree.products))
            for tree in sync.trees()
        }
        sync.feed(lines(event).encode())
        output = [json.loads(line) for line in sync.take_output().splitlines()]
        commands = [Command(0, each["id"], each.get("stock"), "") for each in output]
        decided = sync.take_decisions()
        decisions = [SyncDecision(**each._asdict()) for each in decided]
        if len(decisions) == 1 and decisions[0].verdict == "applied":
            (decision,) = decisions
            mine = [end for end in ends if end.product_id == decision.root_id]
            newest = max(mine, key=lambda end: end.timestamp, default=None)
            said = words.because(decision, commands, newest, clock)
            level, time, ended_at, number = before.get(decision.root_id, (None, -1, -1, 0))
            if said.startswith("in step"):
                (tree,) = [each for each in sync.trees() if each.root == decision.root_id]
                assert {product.stock for product in tree.products} == {tree.level}
            if said.startswith("not newer"):
                assert decision.timestamp <= time
                assert said.split(";")[0].endswith(f" {level}") or clock == "global"
            if said.startswith("newer"):
                assert decision.timestamp > time
            if "created before its parent's end" in said:
                assert decision.timestamp < ended_at == newest.timestamp
            if "was sold out" in said:
                assert level == 0
            if "no other product" in said and decision.kind != "ProductEnded":
                assert number == 1
            assert said
        ends += [each for each in decisions if each.kind == "ProductEnded"]
        ends = [each for each in ends if each.verdict == "applied"]
