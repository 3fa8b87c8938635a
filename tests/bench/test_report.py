"""Figures, their table and their pictures, from sample results."""

from xml.etree import ElementTree

import pytest

from bench.report_figure import Figure, figure, tell, told
from bench.report_picture import bounds, picture
from bench.report_results import Results, Run, dumped, loaded, reason
from bench.report_table import number, page

FIRST = Run("prices", "2026-03-01 10:00 UTC", "0.4 before, 1.2 after", "", "abc1234", 12.5)
SECOND = Run("prices", "2026-04-01 10:00 UTC", "0.4 before, 1.2 after", "--quick", "def5678", 2.0)
OTHER = Run("web", "2026-02-01 10:00 UTC", "2 to 5", machine={"processors": "2"})
RATE = figure("batches", [900.0, 1_000.0], "rows/s", more=True, baseline="SET", bare=[10.0, 20.0])
TIME = figure("p99", 30.5, "ms", goal=30)


def cells(text: str, what: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(f"| {what} |"))
    return [cell.strip() for cell in line.split(" | ")[1:-1]]


def test_a_ratio_is_the_median_of_those_of_each_round():
    assert (RATE.value, RATE.bare, RATE.ratio) == (950, 15, 70)
    assert (RATE.low, RATE.high, RATE.rounds) == (50, 90, 2)


@pytest.mark.parametrize(
    ("how", "better", "met"),
    [
        ({"bare": 2.0, "more": True, "goal": 5.0}, True, True),
        ({"bare": 2.0, "more": True, "goal": 11.0}, True, False),
        ({"bare": 2.0, "more": True, "goal": 5.0, "goal_of": "ratio"}, True, True),
        ({"bare": 2.0, "goal": 10.0}, False, True),
        ({"bare": 20.0, "goal": 0.4, "goal_of": "ratio"}, True, False),
        ({"goal": 9.0}, None, False),
        ({"bare": 0.0}, None, None),
    ],
)
def test_a_goal_is_reached_from_the_side_that_is_worse(how, better, met):
    found = figure("one", 10.0, "", **how)
    assert (found.better, found.met) == (better, met)


def test_a_range_alone_meets_its_goal_by_its_worse_end():
    one = Figure("import", None, "s", low=0.8, high=1.6, goal=1.5, goal_of="ratio")
    assert one.met is False


def test_another_kind_of_goal_is_refused():
    with pytest.raises(ValueError, match="cost"):
        figure("one", 1.0, "s", goal=1.0, goal_of="cost")


def test_what_is_told_twice_was_measured_in_rounds(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_FIGURES", str(tmp_path / "figures"))
    tell("one", 3.0, "ms", baseline="bare", bare=1.0, goal=5.0)
    tell("other", [1.0, 2.0], "ms")
    tell("one", 5.0, "ms", baseline="bare", bare=1.0, goal=5.0)
    one, other = told((tmp_path / "figures").read_text())
    assert (one.value, one.ratio, one.low, one.high, one.rounds) == (4, 4, 3, 5, 2)
    assert other == figure("other", [1.0, 2.0], "ms")


def test_nothing_is_told_where_nobody_asks(tmp_path, monkeypatch):
    monkeypatch.delenv("BENCH_FIGURES", raising=False)
    monkeypatch.chdir(tmp_path)
    tell("one", 3.0, "ms")
    assert not list(tmp_path.iterdir())


def test_a_run_takes_the_place_of_its_own_bench_alone():
    results = Results().with_run(FIRST, [RATE, TIME], whole=True)
    results = results.with_run(OTHER, [TIME], whole=True)
    part = results.with_run(SECOND, [TIME], whole=False)
    assert [row.run for row in part.of("prices")] == [FIRST, SECOND]
    whole = results.with_run(SECOND, [TIME], whole=True)
    assert [row.run for row in whole.of("prices")] == [SECOND]
    assert [row.run for row in whole.of("web")] == [OTHER]


def test_a_failed_run_is_kept_beside_what_was_measured_until_one_goes_well():
    broken = Run("prices", "2026-05-01 10:00 UTC", "1.0", failure="exit 1: Java is missing.")
    results = Results().with_run(FIRST, [RATE, TIME], whole=True)
    failed = results.with_run(broken, [], whole=True)
    assert failed.failures == [broken]
    assert [row.run for row in failed.of("prices")] == [FIRST, FIRST]
    assert not failed.with_run(SECOND, [RATE], whole=True).failures


def test_results_come_back_as_they_were_written():
    zero = figure("lost", 0.0, "")
    broken = Run("sales", "2026-05-01 10:00 UTC", "1.0", failure="exit 1: “é”")
    results = Results().with_run(FIRST, [RATE, TIME, zero], whole=True)
    results = results.with_run(OTHER, [Figure("x", None, "s", ratio=1.2)], whole=True)
    results = results.with_run(broken, [], whole=True)
    assert loaded(dumped(results)) == results
    assert loaded(dumped(Results())) == Results([], [])


def test_the_table_names_every_bench():
    results = Results().with_run(FIRST, [RATE, TIME], whole=True)
    results = results.with_run(OTHER, [figure("a|b <c>", 1.0, "ms")], whole=True)
    failed = Run("sales", "2026-05-01 10:00 UTC", "1.0", failure="exit 1: Java is missing.")
    text = page(
        results.with_run(failed, [], whole=True),
        ["ledger", "prices", "sales", "web"],
        {"prices": "benchmarks/prices.svg"},
    )
    assert cells(text, "ledger")[0] == "not measured yet"
    assert cells(text, "**sales**")[0] == "**failed**: exit 1: Java is missing."
    assert cells(text, "prices: batches")[:5] == [
        "950 rows/s",
        "SET 15 rows/s",
        "70 (50–90)",
        "",
        "",
    ]
    assert cells(text, "prices: p99")[3:5] == ["≤ 30 ms", "**missed**"]
    assert "2026-03-01" in text
    assert "abc1234" in text
    assert "a\\|b &lt;c>" in text
    assert "![prices: ratios to the bare baseline](benchmarks/prices.svg)" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.01234, "0.0123"),
        (0.9999, "1"),
        (2.6, "2.6"),
        (48.13, "48.1"),
        (100, "100"),
        (12_191.4, "12,191"),
    ],
)
def test_numbers_have_three_digits_that_count(value, text):
    assert number(value) == text


def test_a_reason_is_the_last_line_without_the_path_of_this_machine():
    said = "a\nTraceback\n  File\nOSError: no /home/somebody/stock/kafka here\n\n"
    assert reason(said, 1) == "exit 1: OSError: no …/kafka here"
    assert reason("", -9) == "exit -9: it said nothing"
    assert len(reason("x" * 1_000, 1)) == 200


def test_bars_go_from_the_baseline_to_each_ratio():
    slow = figure("slow & <odd>", 40.0, "ms", baseline="bare", bare=1.0, goal=30, goal_of="ratio")
    quick = figure("quick", 0.1, "ms", baseline="bare", bare=1.0)
    drawn = picture("all", [slow, quick, TIME])
    root = ElementTree.fromstring(drawn)
    bars = [each for each in root.iter() if each.get("class") in ("better", "worse")]
    assert [bar.get("class") for bar in bars] == ["worse", "better"]
    one = next(each for each in root.iter() if each.get("class") == "one").get("d")
    left = float(one.removeprefix("M").split(" ")[0])
    assert float(bars[0].get("x")) == left
    assert float(bars[1].get("x")) + float(bars[1].get("width")) == pytest.approx(left)
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"slow & <odd>", "40× missed", "0.1×"} <= {*texts}
    assert sum(each.get("class") == "goal" for each in root.iter()) == 1


def test_there_is_no_picture_without_ratios():
    assert picture("none", [TIME]) is None


@pytest.mark.parametrize(
    ("ratios", "powers"), [([1.0], (0, 1)), ([0.5, 48.0], (-1, 2)), ([0.01], (-2, 0))]
)
def test_the_axis_holds_all_ratios_and_one(ratios, powers):
    assert bounds(ratios) == powers
