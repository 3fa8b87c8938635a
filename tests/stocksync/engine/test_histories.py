"""Generated histories: the engine does what the slow, obvious oracle does."""

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from stocksync.engine.synchronizer import Synchronizer
from tests.stocksync.engine import oracle, oracle_lines
from tests.stocksync.engine.histories import FILES
from tests.stocksync.engine.running import records, sync

CLOCKS = st.sampled_from(["tree", "global"])
EXAMPLES = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FEWER = settings(EXAMPLES, max_examples=200)


def expected_counts(outcome):
    return {**outcome.counts, "waiting": 0}


def expected_trees(outcome, clock):
    newest = max((tree.clock for tree in outcome.trees), default=0)
    return [
        (
            tree.root,
            tree.level,
            newest if clock == "global" else tree.clock,
            [(each.id, each.stock, each.created_at, each.active) for each in tree.products],
        )
        for tree in outcome.trees
    ]


def assert_same_decisions(found, outcome):
    for mine, right in zip(found, outcome.decisions, strict=True):
        refused = right.verdict in ("refused", "never_created")
        assert (mine.line, mine.at_line) == (right.line, right.at_line)
        assert (mine.verdict, mine.code) == (right.verdict, right.code)
        assert mine.raw == (right.event.raw if refused else "")
        assert bool(mine.reason) == (right.verdict != "applied")
        assert (mine.commands, mine.output_offset) == (right.commands, right.output_offset)
        if right.code in oracle_lines.OF_FIELDS:
            continue  # how much is known of what is no event is up to the engine
        event = right.event
        fields = (event.kind, event.id, event.timestamp, event.stock, event.parent_id)
        assert mine[2:7] == fields
        assert mine.root_id == right.root_id


@EXAMPLES
@given(FILES, CLOCKS)
def test_a_history_gives_what_the_oracle_says(data, clock):
    outcome = oracle.run(data, clock)
    result = sync(data, clock)
    assert result.written == oracle.written(outcome.output)
    found = [{key: reject[key] for key in ("line", "code", "raw")} for reject in result.rejects]
    assert found == outcome.rejects
    assert result.counts == expected_counts(outcome)
    assert result.trees == expected_trees(outcome, clock)
    assert_same_decisions(result.decisions, outcome)
    for decision in outcome.decisions:
        if decision.line != decision.at_line:
            event(f"waited, then {decision.verdict} {decision.code}")
        event(f"{decision.verdict} {decision.code}")


@FEWER
@given(FILES, CLOCKS, st.data())
def test_pieces_and_restarts_at_any_place_change_nothing(data, clock, draw):
    places = draw.draw(st.lists(st.integers(0, len(data)), max_size=12).map(sorted))
    bounds = [0, *places, len(data)]
    pieces = [data[start:end] for start, end in pairwise(bounds)]
    restarts = draw.draw(st.sets(st.integers(0, len(pieces) - 1)))
    assert sync(pieces, clock, restarts) == sync(data, clock)


@FEWER
@given(FILES, CLOCKS)
def test_while_its_stock_is_above_0_every_product_of_a_tree_has_it(data, clock):
    """And the counts add up, after every event."""
    engine = Synchronizer(clock=clock)
    for line in data.splitlines(keepends=True):
        engine.feed(line)
        for tree in engine.trees():
            if tree.level > 0:
                assert {product.stock for product in tree.products} == {tree.level}
        assert_adds_up(engine.counts.as_dict())
    engine.finish()
    counts = engine.counts.as_dict()
    assert_adds_up(counts)
    assert counts["waiting"] == 0


def assert_adds_up(counts):
    assert counts["events"] == counts["lines"] - counts["blank"] - counts["comments"]
    assert counts["events"] == (
        counts["applied"]
        + counts["stale"]
        + sum(counts["refused"].values())
        + counts["never_created"]
        + counts["waiting"]
    )


@FEWER
@given(FILES, CLOCKS)
def test_the_marketplaces_that_follow_the_commands_have_the_stock_of_the_summary(data, clock):
    """What each product says of itself, and then what it is told, in order."""
    stocks = {}
    result = sync(data, clock)
    *commands, summary = result.output
    place = 0
    for decision in result.decisions:
        if decision.verdict == "applied" and decision.stock is not None:
            stocks[str(decision.product_id)] = decision.stock
        for command in commands[place : place + decision.commands]:
            if command["type"] == "UpdateProduct":
                assert command["stock"] > 0
                stocks[str(command["id"])] = command["stock"]
        place += decision.commands
    assert place == len(commands)
    assert summary["stocks"] == stocks


@FEWER
@given(FILES, CLOCKS)
def test_the_echo_of_a_command_answers_nothing(data, clock):
    """Else marketplaces that report what they were told would never come to rest."""
    *commands, _ = sync(data, clock).output
    told = {each["id"]: each["stock"] for each in commands if each["type"] == "UpdateProduct"}
    engine = Synchronizer(clock=clock)
    engine.feed(data + b"\n")
    levels = {product.id: product.tree.level for product in engine.products()}
    engine.take_output()
    for number, (product_id, stock) in enumerate(told.items()):
        if levels[product_id] == stock:
            engine.feed(oracle.written([echo(product_id, stock, 2**62 + number)]))
    assert records(engine.take_output()) == []


def echo(product_id, stock, timestamp):
    return {"type": "ProductUpdated", "id": product_id, "timestamp": timestamp, "stock": stock}


@pytest.mark.parametrize("clock", ["tree", "global"])
def test_a_restart_without_any_input_changes_nothing(clock):
    assert sync([b"", b""], clock, restarts=[0, 1]) == sync(b"", clock)
