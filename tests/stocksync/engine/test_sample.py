"""The specification's sample gives its output to the letter, by every way into the engine."""

import json

import pytest

from tests.stocksync.engine import oracle, sample
from tests.stocksync.engine.command import stocksync
from tests.stocksync.engine.running import sync

FORMS = {
    "Python literals, each comment behind its event": sample.COMMENTS_BEHIND,
    "Python literals, a comment on a line of its own": sample.COMMENT_LINE,
    "JSON": sample.JSON_LINES,
}
REJECTS = [("unknown_type", 7), ("missing_field", 8), ("never_created", 9)]

forms = pytest.mark.parametrize("text", FORMS.values(), ids=FORMS.keys())


def test_the_forms_hold_the_same_thirteen_events():
    lines = [text.splitlines() for text in FORMS.values()]
    assert [len(each) for each in lines] == [13, 14, 13]
    assert lines[1][7] == "// incorrect event"
    assert sum("//" in line for line in lines[0]) == 3
    assert not any("//" in line for line in lines[2])


@forms
def test_the_engine_writes_the_output_of_the_specification(text):
    result = sync(text.encode())
    assert result.written.decode() == sample.OUTPUT
    found = [reject["code"] for reject in result.rejects]
    assert found == [code for code, _ in REJECTS]
    assert result.counts["applied"] == 9
    assert result.counts["stale"] == 1


@forms
def test_the_oracle_agrees_with_the_specification(text):
    outcome = oracle.run(text.encode())
    assert oracle.written(outcome.output).decode() == sample.OUTPUT


@forms
def test_the_command_line_writes_the_output_of_the_specification(text, tmp_path):
    source, target = tmp_path / "events.txt", tmp_path / "commands.txt"
    source.write_text(text)
    run = stocksync(source, target)
    assert (run.returncode, run.stdout) == (0, b"")
    assert target.read_text() == sample.OUTPUT
    assert sorted(path.name for path in tmp_path.iterdir()) == ["commands.txt", "events.txt"]


@forms
def test_the_command_line_is_a_filter_between_standard_streams(text):
    run = stocksync("-", "-", given=text.encode())
    assert (run.returncode, run.stdout.decode()) == (0, sample.OUTPUT)


def test_windows_line_ends_and_a_byte_order_mark_change_nothing():
    data = b"\xef\xbb\xbf" + sample.COMMENTS_BEHIND.replace("\n", "\r\n").encode()
    assert stocksync("-", "-", given=data).stdout.decode() == sample.OUTPUT


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_any_number_of_processes_writes_the_same(jobs):
    run = stocksync("-", "-", "--jobs", jobs, given=sample.JSON_LINES.encode())
    assert (run.returncode, run.stdout.decode()) == (0, sample.OUTPUT)


def test_rejects_are_written_with_line_code_reason_and_raw_text(tmp_path):
    rejects = tmp_path / "rejects.txt"
    run = stocksync("-", "-", "--rejects", rejects, given=sample.JSON_LINES.encode())
    assert (run.returncode, run.stdout.decode()) == (0, sample.OUTPUT)
    lines = sample.JSON_LINES.splitlines()
    found = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [(reject["code"], reject["line"]) for reject in found] == REJECTS
    for reject in found:
        assert list(reject) == ["line", "code", "reason", "raw"]
        assert reject["raw"] == lines[reject["line"] - 1]
        assert reject["reason"]


def test_the_summary_is_the_counts_as_json_on_standard_error():
    given = b"// from the shop\n\n" + sample.JSON_LINES.encode()
    run = stocksync("-", "-", "--summary", given=given)
    assert (run.returncode, run.stdout.decode()) == (0, sample.OUTPUT)
    assert b"\n  " in run.stderr  # indented
    counts = json.loads(run.stderr)
    assert counts == sync(given).counts
    expected = {
        "lines": 15,
        "blank": 1,
        "comments": 1,
        "events": 13,
        "applied": 9,
        "stale": 1,
        "never_created": 1,
        "waited": 0,
        "commands": {"UpdateProduct": 8, "EndProduct": 2},
        "products": 3,
        "trees": 1,
    }
    assert {key: counts[key] for key in expected} == expected
    refused = {code: number for code, number in counts["refused"].items() if number}
    assert refused == {"unknown_type": 1, "missing_field": 1}
