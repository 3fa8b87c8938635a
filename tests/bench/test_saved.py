"""docs/benchmarks.md and the results beside it, as they were saved last."""

from bench import __main__ as runner
from bench.report_results import Results


def saved() -> Results:
    return runner.read(runner.DOCS)


def test_every_bench_was_measured_and_says_when_on_what_and_where():
    results = saved()
    assert not results.failures
    for name in runner.BENCHES:
        assert results.of(name), name
    for row in results.rows:
        assert row.run.at and row.run.commit and row.run.machine, row


def test_the_page_and_the_pictures_are_those_of_the_results(tmp_path):
    runner.save(tmp_path, saved(), runner.BENCHES)
    for path in [tmp_path / "benchmarks.md", *sorted((tmp_path / "benchmarks").iterdir())]:
        assert path.read_text() == (runner.DOCS / path.relative_to(tmp_path)).read_text(), path
