"""`python -m stocksync`: its options and exit codes, and what a run that fails leaves behind."""

import json
import os
import shlex
import shutil
import subprocess
import sys

import pytest

from tests.stocksync.engine.command import ROOT, line, stocksync
from tests.stocksync.engine.running import created, records, sync, updated

EVENTS = created(1, 5, 10) + created(2, 5, 11, parent=1) + updated(1, 4, 12)
OUTPUT = (
    b'{"type": "UpdateProduct", "id": 2, "stock": 4}\n'
    b'{"type": "StockSummary", "stocks": {"1": 4, "2": 4}}\n'
)
# The second tree's update is older than the first tree: the clocks disagree about it.
OLD_IN_ANOTHER_TREE = created(1, 5, 100) + created(2, 5, 10) + updated(2, 4, 20)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "events.txt"
    path.write_bytes(EVENTS)
    return path


@pytest.fixture
def target(tmp_path):
    """An output file of an earlier run."""
    path = tmp_path / "commands.txt"
    path.write_text("earlier\n")
    return path


def assert_failed(run, code=1):
    """It says why in words."""
    assert run.returncode == code
    assert run.stderr.strip()
    assert b"Traceback" not in run.stderr


def assert_untouched(target, *others):
    """The earlier output is there, and no file that the run made beside it."""
    assert target.read_text() == "earlier\n"
    names = {target.name, *(path.name for path in others)}
    assert {path.name for path in target.parent.iterdir()} == names


# Options


def test_a_run_replaces_the_earlier_output(source, target):
    assert stocksync(source, target).returncode == 0
    assert target.read_bytes() == OUTPUT


def test_without_rejects_nothing_is_written_about_refused_lines(tmp_path):
    run = stocksync("-", tmp_path / "out", given=b"nonsense\n" + EVENTS)
    assert (run.returncode, run.stdout) == (0, b"")
    assert b"--rejects" in run.stderr  # who wonders reads where they are
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_rejects_of_a_run_without_any_are_an_empty_file(source, tmp_path):
    rejects = tmp_path / "rejects.txt"
    assert stocksync(source, "-", "--rejects", rejects).stdout == OUTPUT
    assert rejects.read_bytes() == b""


def test_an_empty_input_gives_an_empty_summary():
    run = stocksync("-", "-")
    assert (run.returncode, run.stderr) == (0, b"")
    assert run.stdout == b'{"type": "StockSummary", "stocks": {}}\n'


@pytest.mark.parametrize(("clock", "stale"), [("tree", 0), ("global", 1)])
def test_the_clock_says_what_is_stale(clock, stale):
    run = stocksync("-", "-", "--clock", clock, "--summary", given=OLD_IN_ANOTHER_TREE)
    assert json.loads(run.stderr)["stale"] == stale
    assert run.stdout == sync(OLD_IN_ANOTHER_TREE, clock).written


def test_the_clock_is_that_of_each_tree_if_not_told():
    run = stocksync("-", "-", given=OLD_IN_ANOTHER_TREE)
    assert records(run.stdout)[-1]["stocks"] == {"1": 5, "2": 4}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["-"],
        ["-", "-", "-"],
        ["-", "-", "--clock", "wall"],
        ["-", "-", "--jobs", "many"],
        ["-", "-", "--jobs", "-1"],
        ["-", "-", "--rejects"],
        ["-", "-", "--nothing"],
    ],
    ids=" ".join,
)
def test_wrong_arguments_are_told_and_exit_with_2(arguments):
    run = stocksync(*arguments, given=EVENTS)
    assert_failed(run, code=2)
    assert run.stdout == b""


@pytest.mark.parametrize("written", ["output", "rejects", "a link", "another name"])
def test_the_events_are_not_overwritten(source, tmp_path, written):
    target = {"a link": tmp_path / "link", "another name": f"{tmp_path}/./{source.name}"}.get(
        written, source
    )
    if written == "a link":
        target.symlink_to(source)
    arguments = ["-", "--rejects", target] if written == "rejects" else [target]
    run = stocksync(source, *arguments)
    assert_failed(run, code=2)
    assert b"the events would be gone" in run.stderr
    assert source.read_bytes() == EVENTS


def test_without_standard_error_all_is_done_and_nothing_told(source, tmp_path):
    target = tmp_path / "out.txt"
    source.write_bytes(EVENTS + b"{}\n")
    for options in ("", "--summary"):
        script = shlex.join(line(source, target)) + f" {options} 2>&-"
        run = subprocess.run(["/bin/sh", "-c", script], cwd=ROOT, capture_output=True, check=True)
        assert run.stdout == b"" and target.read_bytes() == OUTPUT


def test_a_name_that_can_not_be_written_is_told_as_it_was_given(source, tmp_path):
    target = tmp_path / "nowhere" / "out.txt"
    run = stocksync(source, target)
    assert_failed(run, code=1)
    expected = f"stocksync: can't write {target}: No such file or directory\n"
    assert run.stderr.decode() == expected


def test_the_output_is_as_readable_as_any_new_file(source, tmp_path):
    target = tmp_path / "new.txt"
    rejects = tmp_path / "rejects.txt"
    previous = os.umask(0o027)
    try:
        assert stocksync(source, target, "--rejects", rejects).returncode == 0
    finally:
        os.umask(previous)
    assert [path.stat().st_mode & 0o777 for path in (target, rejects)] == [0o640, 0o640]


def test_a_pipe_as_output_is_written_to_and_not_replaced(source, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert stocksync(source, pipe).returncode == 0
        assert pipe.is_fifo()
        assert os.read(reader, 65_536) == OUTPUT
    finally:
        os.close(reader)


def test_the_device_of_standard_output_may_be_a_pipe(source):
    run = stocksync(source, "/dev/stdout")
    assert (run.returncode, run.stdout) == (0, OUTPUT)


def test_what_is_open_already_is_written_to_and_not_replaced(source, tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"before\n")
    for name in ("/dev/stdout", "/dev/fd/1"):
        with log.open("ab") as opened:
            assert stocksync(source, name, stdout=opened).returncode == 0
    assert log.read_bytes() == b"before\n" + OUTPUT + OUTPUT


def test_a_link_as_output_leads_to_the_output(source, target, tmp_path):
    link = tmp_path / "latest"
    link.symlink_to(target.name)
    assert stocksync(source, link).returncode == 0
    assert link.is_symlink()
    assert target.read_bytes() == OUTPUT


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_any_text_is_written_whatever_the_locale(locale, tmp_path):
    given = '{"type": "Ürün ☃", "raw": "\ud7ff\U0001f4be"}\n'.encode() + b"\xff\xfe\n"
    environment = {"PATH": os.environ["PATH"], "LC_ALL": locale, "PYTHONUTF8": "0"}
    rejects = tmp_path / "rejects"
    run = stocksync("-", "-", "--rejects", rejects, given=given, env=environment)
    assert (run.returncode, run.stderr) == (0, b"")
    assert rejects.read_bytes().isascii()
    assert records(rejects.read_bytes()) == sync(given).rejects


# What cannot be read or written


def test_a_missing_input_exits_with_1_and_leaves_the_earlier_output(target):
    run = stocksync(target.parent / "nowhere.txt", target)
    assert_failed(run)
    assert b"nowhere.txt" in run.stderr
    assert_untouched(target)


def test_a_missing_input_makes_no_output(tmp_path):
    rejects = tmp_path / "rejects"
    assert_failed(stocksync(tmp_path / "nowhere", tmp_path / "out", "--rejects", rejects))
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_no_text_is_told_too(target):
    assert_failed(stocksync(os.fsdecode(b"/nowhere/\xff\n.txt"), target))
    assert_untouched(target)


def test_a_folder_as_input_exits_with_1(target, tmp_path_factory):
    assert_failed(stocksync(tmp_path_factory.mktemp("folder"), target))
    assert_untouched(target)


def test_an_input_that_breaks_while_it_is_read_exits_with_1(target):
    """A process's memory can be opened; address 0 cannot be read."""
    assert_failed(stocksync("/proc/self/mem", target))
    assert_untouched(target)


def test_a_missing_output_folder_exits_with_1(source, tmp_path):
    run = stocksync(source, tmp_path / "nowhere" / "out")
    assert_failed(run)
    assert b"nowhere" in run.stderr
    assert list(tmp_path.iterdir()) == [source]


def test_a_missing_rejects_folder_exits_with_1_and_leaves_the_earlier_output(source, target):
    run = stocksync(source, target, "--rejects", target.parent / "nowhere" / "rejects")
    assert_failed(run)
    assert_untouched(target, source)


def test_a_folder_as_output_exits_with_1(source, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    assert_failed(stocksync(source, folder))
    assert sorted(tmp_path.iterdir()) == [source, folder]
    assert list(folder.iterdir()) == []


# Independence


def test_it_imports_nothing_of_django(source, target):
    script = (
        "import runpy, sys\n"
        "try:\n    runpy.run_module('stocksync', run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "print([name for name in sys.modules if name.split('.')[0] in"
        " ('django', 'celery', 'config', 'rest_framework')])\n"
    )
    arguments = [sys.executable, "-c", script, str(source), str(target), "--jobs", "2"]
    run = subprocess.run(arguments, cwd=ROOT, capture_output=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, b"[]\n", b"")
    assert target.read_bytes() == OUTPUT


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_it_works_alone_without_any_package_installed(jobs, source, target, tmp_path):
    """`-S` leaves site-packages out, `-E` the environment, `-W error` makes warnings fail."""
    package = tmp_path / "alone" / "stocksync"
    package.mkdir(parents=True)
    for name in ("__init__.py", "__main__.py"):
        shutil.copy(ROOT / "stocksync" / name, package)
    shutil.copytree(ROOT / "stocksync" / "engine", package / "engine")
    python = [sys.executable, "-S", "-E", "-W", "error"]
    without = subprocess.run([*python, "-c", "import django"], capture_output=True, check=False)
    assert without.returncode == 1
    run = subprocess.run(
        [*python, "-m", "stocksync", source, target, "--jobs", jobs],
        cwd=package.parent,
        capture_output=True,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")
    assert target.read_bytes() == OUTPUT
