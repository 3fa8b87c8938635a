"""Commands, trees, events and comparisons, against what the engine itself said."""

import json

import pytest

from stocksync.jobs import downloads, files, service
from stocksync.models import SyncDecision, SyncJob
from stocksync.results import commands, comparison, ignored, rejects, tree_events, trees

from .conftest import advanced
from .histories import MIXED, created, ended, lines, many, updated

pytestmark = pytest.mark.django_db(transaction=True)

BUSY = "".join(many(12, 5, 900))


@pytest.fixture
def mixed(done) -> SyncJob:
    return done(MIXED)


@pytest.fixture
def busy(done) -> SyncJob:
    return done(BUSY, name="busy.jsonl")


def whole(job: SyncJob) -> list[dict]:
    """The commands as the download has them."""
    every = b"".join(downloads.output_lines(job)).splitlines()
    return [json.loads(line) for line in every[:-1]]


def as_json(command: commands.Command) -> dict:
    if command.stock is None:
        return {"type": "EndProduct", "id": command.product_id}
    return {"type": "UpdateProduct", "id": command.product_id, "stock": command.stock}


class TestCommands:
    def test_pages_forwards_are_all_commands_once(self, busy):
        found, at = [], 0
        while at is not None:
            page = commands.page(busy, at, size=70)
            found += map(as_json, page.rows)
            at = page.after
        assert found == whole(busy)

    def test_pages_backwards_are_the_same(self, busy):
        page = commands.page(busy, None, size=70)
        assert page.after is None
        found = {command.offset: command for command in page.rows}
        while page.before is not None:
            page = commands.page(busy, page.before, size=70)
            assert len(page.rows) == 70
            found |= {command.offset: command for command in page.rows}
        assert [as_json(found[offset]) for offset in sorted(found)] == whole(busy)

    def test_an_offset_within_a_line_begins_with_the_next_one(self, busy):
        first, second = commands.page(busy).rows[:2]
        assert commands.page(busy, 1).rows[0].offset == second.offset
        assert commands.page(busy, second.offset).rows[0] == second
        assert commands.page(busy, 0).rows[0] == first

    @pytest.mark.parametrize("beyond", [1, 10**12])
    def test_an_offset_behind_all_commands_shows_the_last_ones(self, busy, beyond):
        last = commands.page(busy, None)
        end = last.rows[-1].offset
        assert commands.page(busy, end + beyond) == last

    def test_each_has_the_event_that_caused_it(self, busy):
        found, at = [], 0
        while at is not None:
            page = commands.page(busy, at, size=40)
            found += page.rows
            at = page.after
        caused: list[int] = []
        for decision in SyncDecision.objects.filter(job=busy, commands__gt=0).order_by("seq"):
            caused += [decision.line] * decision.commands
        assert [command.cause.line for command in found] == caused

    def test_without_commands_there_is_nothing_on_the_only_page(self, done):
        job = done(lines(created(1, 1)))
        assert commands.page(job) == commands.Page([], None, None)
        assert commands.page(job, None) == commands.Page([], None, None)
        assert commands.page(job, 30) == commands.Page([], None, None)

    def test_a_file_that_is_purged_is_gone(self, mixed):
        files.purge(mixed.output_id)
        with pytest.raises(files.FileGone):
            commands.page(mixed)

    def test_the_longest_line_is_as_long_as_the_page_thinks(self, done):
        most = 2**63 - 1
        job = done(
            lines(created(most - 1, 1), created(most, 2, 5, most - 1), updated(most, 3, most))
        )
        (line, _) = commands.files.read(job.output_id, 0, files.size(job.output_id)).split(b"\n")[
            1:3
        ]
        assert len(line) + 1 <= commands.LONGEST_LINE
        assert commands.page(job, None, size=1).rows[0].stock == most


class TestTrees:
    def test_they_come_in_order_of_creation_with_their_states(self, mixed):
        rows = trees.find(mixed).rows
        assert [(row.tree.root_id, row.tree.stock, row.state.text) for row in rows] == [
            (1, 19, "in step"),
            (10, 0, "sold out"),
            (20, 6, "all ended"),
        ]

    @pytest.mark.parametrize(("which", "roots"), [("sold-out", [10]), ("ended", [10, 20])])
    def test_filters_leave_the_others_out(self, mixed, which, roots):
        assert [row.tree.root_id for row in trees.find(mixed, which).rows] == roots

    def test_pages_go_on_and_back(self, busy):
        first = trees.find(busy, size=5)
        second = trees.find(busy, after=first.after, size=5)
        assert first.before is None
        assert [row.tree.root_id for row in second.rows] == [600, 700, 800, 900, 1000]
        assert trees.find(busy, before=second.before, size=5) == first
        assert trees.find(busy, after=second.after, size=5).after is None

    def test_a_short_run_before_the_first_rows_is_filled_up(self, busy):
        assert trees.find(busy, before=3, size=5) == trees.find(busy, size=5)

    def test_the_parent_comes_first_and_each_product_has_its_state(self, mixed):
        sold_out = trees.find(mixed, "sold-out").rows[0].tree
        rows = trees.products(sold_out).rows
        assert [(row.product.product_id, row.product.stock, row.state.text) for row in rows] == [
            (10, 3, "ended"),
            (11, 0, "sold out"),
        ]

    def test_a_product_deep_in_a_large_tree_is_on_the_run_that_is_shown(self, done):
        job = done(lines(created(1, 1), *(created(n, n, parent=1) for n in range(2, 200))))
        tree = trees.find(job).rows[0].tree
        for product_id in (1, 2, 49, 50, 51, 52, 120, 199):
            wanted = trees.product(job, product_id)
            run = trees.products(tree, after=trees.place_for(wanted))
            assert product_id in [row.product.product_id for row in run.rows]


class TestTreeEvents:
    def test_each_has_what_it_caused_or_why_not(self, mixed):
        rows = tree_events.find(mixed, 1).rows
        assert [(row.decision.line, row.said, [c.text for c in row.commands]) for row in rows] == [
            (2, "product 1 created, stock 10", []),
            (1, "product 2 created below product 1, stock 10", []),
            (3, "product 3 created below product 1, stock 10", []),
            (4, "product 1: stock 20", ["product 2 gets stock 20", "product 3 gets stock 20"]),
            (5, "product 1: stock 7", []),
            (6, "event of unknown type about product 1", []),
            (9, "product 3: stock 19", ["product 1 gets stock 19", "product 2 gets stock 19"]),
        ]
        assert [row.decision.verdict for row in rows if not row.applied] == ["stale", "refused"]
        assert rows[1].waited == "waited for product 1 until line 2"
        assert "128 is not newer than 129" in rows[4].decision.reason

    def test_of_many_commands_the_first_are_shown(self, done):
        job = done(
            lines(
                created(1, 1),
                *(created(n, n, parent=1) for n in range(2, 5001)),
                updated(7, 9000, 3),
                updated(8, 9001, 2),
            )
        )
        *_, before_last, last = tree_events.find(job, 1, size=10_000).rows
        assert [command.text for command in before_last.commands] == [
            f"product {n} gets stock 3" for n in (1, 2, 3, 4, 5)
        ]
        assert before_last.more == 4994
        assert last.commands[0].text == "product 1 gets stock 2"

    def test_one_products_own_events_are_found(self, mixed):
        assert [row.decision.line for row in tree_events.find(mixed, 1, 3).rows] == [3, 9]

    def test_runs_are_all_events_once(self, busy):
        found, after = [], 0
        while after is not None:
            run = tree_events.find(busy, 300, after=after, size=7)
            found += [row.decision.seq for row in run.rows]
            after = run.after
        expected = SyncDecision.objects.filter(job=busy, root_id=300).order_by("seq")
        assert found == [*expected.values_list("seq", flat=True)]

    def test_where_the_output_is_gone_the_events_are_still_there(self, mixed):
        files.purge(mixed.output_id)
        row = tree_events.find(mixed, 1).rows[3]
        assert (row.commands, row.more) == ([], 2)


class TestIgnored:
    def test_kinds_are_counted_and_found(self, mixed):
        assert ignored.counts(mixed) == {"refused": 2, "never_created": 2, "stale": 1}
        for verdict, found in (("refused", [6, 7]), ("never_created", [8, 16]), ("stale", [5])):
            assert [each.line for each in ignored.find(mixed, verdict).rows] == found
        assert [each.line for each in ignored.find(mixed, "refused", "malformed").rows] == [7]

    def test_a_product_never_created_has_its_events_and_its_childrens(self, mixed):
        assert [each.line for each in ignored.orphans(mixed, 4)] == [8]
        assert [each.line for each in ignored.orphans(mixed, 5)] == [16]
        assert [each.line for each in ignored.orphans(mixed, 6)] == [16]
        assert ignored.orphans(mixed, 99) == []


class TestComparison:
    def test_the_same_again_is_no_difference(self, busy, user):
        again = advanced(service.repeat(busy, user, "tree"))
        assert comparison.same_events(busy, again)
        assert not any(count.difference for count in comparison.counts(busy, again))
        assert comparison.products(busy, again) == comparison.Found([], 0)
        assert comparison.judged(busy, again, True) == comparison.Found([], 0)

    def test_the_same_file_uploaded_twice_is_recognised(self, done, monkeypatch):
        a, b = done(MIXED), done(MIXED, clock="global")
        assert comparison.same_events(a, b)
        assert comparison.judged(a, b, True).total == 0
        assert not comparison.same_events(a, done(MIXED.replace("129", "130")))
        assert not comparison.same_events(a, done(MIXED + "\n"))
        monkeypatch.setattr(comparison, "READ_BYTES", 10)
        assert not comparison.same_events(a, b)
        assert comparison.may_be_same(a, b)

    def test_files_that_are_gone_are_not_read(self, done):
        a, b = done(MIXED), done(MIXED)
        files.purge(b.events_id)
        assert not comparison.same_events(a, b)

    def test_another_clock_judges_late_events_differently(self, busy, user):
        other = advanced(service.repeat(busy, user, "global"))
        verdicts = {
            job.pk: dict(SyncDecision.objects.filter(job=job).values_list("line", "verdict"))
            for job in (busy, other)
        }
        differing = {
            n for n, verdict in verdicts[busy.pk].items() if verdicts[other.pk][n] != verdict
        }
        judged = comparison.judged(busy, other, True)
        assert {one.line for one, _ in judged.rows} == differing
        assert all(one.line == two.line and one.job_id == busy.pk for one, two in judged.rows)
        stale = next(c for c in comparison.counts(busy, other) if c.name == "stale")
        assert stale.difference == len(differing) == judged.total

    def test_products_that_end_differently_are_told_from_both_sides(self, done):
        a = done(lines(created(1, 1, 5), created(2, 2, 5), created(3, 3, 5)))
        b = done(lines(created(1, 1, 5), created(2, 2, 6), created(4, 4, 5), ended(1, 5)))
        found = comparison.products(a, b)
        ending = comparison.Ending
        assert found.rows == [
            comparison.Difference(1, ending(5, True), ending(5, False)),
            comparison.Difference(2, ending(5, True), ending(6, True)),
            comparison.Difference(3, ending(5, True), None),
            comparison.Difference(4, None, ending(5, True)),
        ]
        assert comparison.judged(a, b, False) is None

    def test_only_the_first_are_shown_and_all_are_counted(self, done):
        a = done(lines(*(created(n, n) for n in range(1, 31))))
        b = done(lines(*(created(n, n, 11) for n in range(1, 31))))
        found = comparison.products(a, b, most=20)
        assert ([row.product_id for row in found.rows], found.total) == ([*range(1, 21)], 30)
        assert found.more == 10


class TestRejects:
    def test_pages_are_all_refused_lines_once(self, done):
        wrong = [f"wrong {n} {'x' * (n % 7) * 900}" for n in range(400)]
        job = done(lines(*wrong))
        found, at = [], 0
        while at is not None:
            page = rejects.page(job, at, size=30)
            found += page.rows
            at = page.after
        assert [(each.line, each.raw) for each in found] == [*enumerate(wrong, 1)]

    def test_pages_lead_back(self, done):
        job = done(lines(*(f"wrong {n}" for n in range(100))))
        second = rejects.page(job, rejects.page(job, size=30).after, size=30)
        assert rejects.page(job, second.before, size=30).rows[0].line == 1
        assert second.rows[0].line == 31
        assert rejects.page(job, 5, size=30).rows[0].line == 2
        assert rejects.page(job, 10**9, size=30).rows[0].line == 1

    def test_the_longest_lines_are_read_whole(self, done):
        longest = "\x01" * 65_536
        job = done(lines("first", longest, longest, "last"))
        first = rejects.page(job)
        assert [each.line for each in first.rows] == [1]
        second = rejects.page(job, first.after)
        assert [(each.line, each.raw) for each in second.rows] == [(2, longest)]
        third = rejects.page(job, second.after)
        assert ([each.line for each in third.rows], third.after) == ([3, 4], None)
        assert rejects.page(job, third.before).rows[0].line == 1  # as far as a line may reach

    def test_without_any_the_page_is_empty(self, done):
        assert rejects.page(done(lines(created(1, 1)))) == rejects.Page([], None, None)
