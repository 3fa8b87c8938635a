"""`python -m bench`, with small programs in place of benches."""

import re
import sys
from pathlib import Path

import pytest

from bench import __main__ as runner
from bench import report_machine
from bench.report_results import Results

ROOT = Path(__file__).resolve().parents[2]
GOOD = """
from bench.report_figure import tell
print("measured")
tell("quick", [4.0, 6.0], "ms", baseline="bare", bare=[2.0, 2.0])
"""
BAD = GOOD + 'raise SystemExit("Kafka is missing in /srv/somewhere/kafka")'


def ran(name: str, program: str):
    return runner.measured(name, [sys.executable, "-c", program], ["--quick"])


def test_a_bench_is_shown_and_its_figures_kept(capfd):
    run, (figure,) = ran("prices", GOOD)
    assert capfd.readouterr().out == "measured\n"
    assert (figure.value, figure.ratio) == (5, 2.5)
    assert (run.bench, run.failure, run.options) == ("prices", "", "--quick")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", run.at)
    assert {"processors", "memory", "kernel", "Python"} <= run.machine.keys()


def test_a_bench_that_fails_is_named_with_its_reason(tmp_path):
    good, figures = ran("prices", GOOD)
    bad, some = ran("sales", BAD)
    assert bad.failure == "exit 1: Kafka is missing in …/kafka"
    results = Results().with_run(good, figures, whole=True).with_run(bad, some, whole=True)
    runner.save(tmp_path, results, ["prices", "sales", "web"])
    text = (tmp_path / "benchmarks.md").read_text()
    assert "| **sales** | **failed**: exit 1: Kafka is missing in …/kafka |" in text
    assert "| sales: quick | 5 ms |" in text  # told before it failed
    assert "| web | not measured yet |" in text
    assert sorted(path.name for path in (tmp_path / "benchmarks").iterdir()) == [
        "prices.svg",
        "results.json",
        "sales.svg",
    ]
    assert runner.read(tmp_path) == results


def test_an_old_picture_goes_with_its_figures(tmp_path):
    run, figures = ran("prices", GOOD)
    runner.save(tmp_path, Results().with_run(run, figures, whole=True), ["prices"])
    runner.save(tmp_path, Results(), ["prices"])
    assert not (tmp_path / "benchmarks" / "prices.svg").exists()


@pytest.mark.parametrize("words", [["nothing"], ["prices", "nothing", "--quick"]])
def test_an_unknown_bench_is_refused(words, capsys):
    assert runner.main(words) == 2
    assert "No bench nothing" in capsys.readouterr().out


def test_one_bench_renews_its_rows_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "PROJECT", tmp_path)
    monkeypatch.setattr(runner, "DOCS", tmp_path / "docs")
    monkeypatch.setattr(runner, "BENCHES", ("good", "bad"))
    monkeypatch.setattr(runner, "WITH_OPTIONS", {"good"})
    package = tmp_path / "bench"
    package.mkdir()
    (package / "__init__.py").write_text(f"__path__.append({str(ROOT / 'bench')!r})\n")
    (package / "good.py").write_text(GOOD)
    (package / "bad.py").write_text(BAD)
    monkeypatch.chdir(tmp_path)
    assert runner.main([]) == 1
    first = runner.read(tmp_path / "docs")
    assert [run.bench for run in first.failures] == ["bad"]
    assert runner.main(["good", "--quick"]) == 0
    second = runner.read(tmp_path / "docs")
    assert second.of("bad") == first.of("bad")
    assert second.failures == first.failures
    assert [row.run.options for row in second.of("good")] == ["--quick"]


def test_the_commit_is_unknown_without_git(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert report_machine.commit() == ""


def test_the_page_in_docs_is_the_one_of_its_results(tmp_path):
    results = runner.read(runner.DOCS)
    runner.save(tmp_path, results, runner.BENCHES)
    for path in (runner.DOCS / "benchmarks").iterdir():
        assert path.read_text() == (tmp_path / "benchmarks" / path.name).read_text()
    assert (runner.DOCS / "benchmarks.md").read_text() == (tmp_path / "benchmarks.md").read_text()


def test_one_that_hangs_is_ended_with_what_it_has_started() -> None:
    """What it started holds its output too: without its end nobody would hear of the bench's."""
    hang = "import time; time.sleep(600)"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '{hang}'])"
    run, figures = runner.measured("web", [sys.executable, "-c", program], [], longest=0.5)
    assert (run.failure, figures) == ("it had not ended after 0.5 s", [])
