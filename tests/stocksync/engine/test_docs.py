"""docs/stock-sync.md says what is so: its examples are run, its tables are compared."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from django.conf import settings
from django.urls import resolve

from stocksync.engine import refusals
from stocksync.engine.synchronizer import Synchronizer

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "stock-sync.md").read_text()
FENCED = re.compile(r"^```(\w+)(?: (\w+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FOLLOWS = re.compile(r"→ (?:line (\d+): )?(.+)")
END = "the file ends"


class Block(NamedTuple):
    """A fenced block: ```language flag, and the heading it stands under."""

    language: str
    flag: str
    text: str
    heading: str


def blocks() -> list[Block]:
    found = []
    for match in FENCED.finditer(TEXT):
        heading = re.findall(r"^#+ (.+)$", TEXT[: match.start()], re.MULTILINE)[-1]
        found.append(Block(match[1], match[2] or "", match[3], heading))
    return found


def under(heading: str, language: str) -> list[str]:
    return [b.text for b in blocks() if (b.heading, b.language) == (heading, language)]


def section(heading: str) -> str:
    return re.split(r"^## ", TEXT.split(f"\n## {heading}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


SETUP = next(b.text for b in blocks() if b.flag == "setup")
EXAMPLES = [b for b in blocks() if b.language == "events" and b.flag != "setup"]


def what_follows(sync: Synchronizer, line: int, before: int) -> list[str]:
    """What was decided since the last call, in the words of the page.

    `line` is the line just read, 0 at the end; lines of the example begin after `before`.
    """
    found = []
    commands = sync.take_output().decode().splitlines()
    decisions = sync.take_decisions()
    for decision in decisions:
        of = "" if decision.line == line else f"line {decision.line - before}: "
        if decision.verdict == "applied":
            own, commands = commands[: decision.commands], commands[decision.commands :]
            found += [of + command for command in own or ["nothing"]]
        elif decision.verdict == "stale":
            found.append(of + "stale")
        else:
            found.append(f"{of}refused: {decision.code}")
    assert not commands
    if line and not any(decision.line == line for decision in decisions):
        found.insert(0, "waits")
    return found


@pytest.mark.parametrize(
    "block", EXAMPLES, ids=[f"{i} {b.heading}" for i, b in enumerate(EXAMPLES)]
)
def test_each_event_leads_to_what_the_page_says(block):
    sync = Synchronizer(clock="global" if block.flag == "global" else "tree", trace=True)
    before = 0
    if block.flag != "alone":
        sync.feed(SETUP.encode())
        assert sync.take_output() == b""
        before = len(sync.take_decisions())
        assert before == sync.counts.as_dict()["applied"] == 3
    line = before
    lines = block.text.splitlines()
    while lines:
        event = lines.pop(0)
        expected = []
        while lines and (follows := FOLLOWS.fullmatch(lines[0])):
            expected.append(f"line {follows[1]}: {follows[2]}" if follows[1] else follows[2])
            lines.pop(0)
        assert expected, f"nothing is said about {event}"
        if event == END:
            sync.finish()
            assert what_follows(sync, 0, before) == expected
        else:
            line += 1
            sync.feed(event.encode() + b"\n")
            assert what_follows(sync, line, before) == expected, event
    assert_equal_stocks(sync)


def assert_equal_stocks(sync: Synchronizer) -> None:
    for tree in sync.trees():
        if tree.level:
            assert {product.stock for product in tree.products} == {tree.level}


def test_the_page_has_an_example_of_every_outcome():
    said = "\n".join(block.text for block in EXAMPLES)
    for outcome in ("UpdateProduct", "EndProduct", "→ nothing", "→ stale", "→ waits", "refused"):
        assert outcome in said


@pytest.fixture
def directory(tmp_path) -> Path:
    (tmp_path / "events.txt").write_text(under("An example", "text")[0])
    return tmp_path


def run(command: str, directory: Path) -> subprocess.CompletedProcess[str]:
    assert command.startswith("python -m stocksync ")
    return subprocess.run(
        command.replace("python", f"'{sys.executable}'", 1),
        shell=True,
        cwd=directory,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )


def test_the_example_gives_its_output_and_its_rejects(directory):
    (command,) = under("An example", "sh")
    events, output = under("An example", "text")
    run(command, directory)
    assert (directory / "commands.txt").read_text() == output
    (rejects,) = under("Files", "text")
    assert (directory / "rejects.txt").read_text() == rejects
    for line in rejects.splitlines():
        reject = json.loads(line)
        assert events.splitlines()[reject["line"] - 1] == reject["raw"]


def test_the_example_gives_its_counts(directory):
    (command,) = under("Command line", "sh")
    (counts,) = under("Command line", "json")
    assert run(command, directory).stderr == counts
    assert (directory / "commands.txt").read_text() == under("An example", "text")[1]


def test_the_sample_comes_out_the_same_with_both_clocks():
    events, output = under("An example", "text")
    for clock in ("tree", "global"):
        sync = Synchronizer(clock=clock)
        sync.feed(events.encode())
        sync.finish()
        assert (sync.take_output() + b"".join(sync.summary())).decode() == output


def test_the_usage_is_that_of_the_program():
    shown = subprocess.run(
        [sys.executable, "-m", "stocksync", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    for option in re.findall(r"--[a-z]+", under("Command line", "text")[0]):
        assert option in shown


EVENT = b'{"type": "ProductCreated", "id": 1, "stock": 10, "timestamp": 101, "parent_id": null}'
ONE = '{"type": "StockSummary", "stocks": {"1": 10}}\n'
NONE = '{"type": "StockSummary", "stocks": {}}\n'


@pytest.mark.parametrize(
    ("data", "written", "refused"),
    [
        (b"", NONE, 0),
        (b"\xef\xbb\xbf" + EVENT, ONE, 0),
        (EVENT + b" // a comment\r\n\r\n  // another\r\n", ONE, 0),
        (EVENT[:-1] + b', "channel": {"name": "ebay.fr"}}\n', ONE, 0),
        (EVENT.replace(b'"', b"'").replace(b"null", b"None") + b" // a comment", ONE, 0),
        (EVENT.replace(b", ", b",\n", 1), NONE, 2),  # a line break in the middle of an event
        (EVENT + b"\n" + EVENT.replace(b": 10", b": 7"), ONE, 1),
    ],
    ids=["empty", "BOM", "CRLF, comments", "more keys", "literal", "broken", "created twice"],
)
def test_files_are_read_as_the_page_says(data, written, refused):
    sync = Synchronizer()
    sync.feed(data)
    sync.finish()
    assert (sync.take_output() + b"".join(sync.summary())).decode() == written
    assert len(sync.take_rejects().splitlines()) == refused


REFUSED = rows(section("Refused lines"))


def test_the_table_has_every_code():
    codes = {cell.strip("`") for cell, *_ in REFUSED}
    assert codes == {code for name, code in vars(refusals).items() if name.isupper()}


@pytest.mark.parametrize("row", [row for row in REFUSED if row[2]], ids=lambda row: row[0])
def test_the_lines_of_the_table_are_refused_with_their_code(row):
    code, _, line = (cell.strip("`") for cell in row)
    sync = Synchronizer()
    sync.feed(SETUP.encode() + line.encode() + b"\n")
    sync.finish()
    (reject,) = sync.take_rejects().splitlines()
    assert json.loads(reject)["code"] == code
    assert json.loads(reject)["line"] == 4
    assert sync.take_output() == b""


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"\xff", "not_utf8"),
        (b"{" + b" " * 65_536, "too_long"),
        (b'{"type": "ProductEnded", "id": 1, "timestamp": 110}' + b" " * 65_485, ""),
    ],
    ids=["bytes", "too long", "as long as can be"],
)
def test_the_limits_of_a_line_are_as_said(line, code):
    sync = Synchronizer()
    sync.feed(SETUP.encode() + line + b"\n")
    rejects = [json.loads(reject)["code"] for reject in sync.take_rejects().splitlines()]
    assert rejects == ([code] if code else [])


def test_the_addresses_of_the_api_are_there():
    addresses = re.findall(r"`(GET|POST) ([^`]+)`", section("By API"))
    assert len(addresses) == 11
    for method, address in addresses:
        view = resolve(f"/api/stocksync/{address}").func.view_class
        assert hasattr(view, method.lower()), address


@pytest.mark.parametrize(
    ("name", "said", "unit"),
    [
        ("STOCKSYNC_MAX_BYTES", "1 GiB", 1024**3),
        ("STOCKSYNC_OUTPUT_MAX_BYTES", "4 GiB", 1024**3),
        ("STOCKSYNC_TRACE_EVENTS", "2,000,000", 1),
        ("STOCKSYNC_KEEP_DAYS", "30", 1),
    ],
)
def test_settings_have_the_defaults_that_are_told(name, said, unit):
    assert f"`{name}`, {said}" in section("Limits")
    example = (ROOT / ".env.example").read_text()
    assert f"#{name}={int(said.split()[0].replace(',', '')) * unit}\n" in example
    assert hasattr(settings, name)
