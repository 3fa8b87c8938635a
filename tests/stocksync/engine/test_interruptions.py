"""`python -m stocksync` stopped in the middle, on a full disk, and without a reader."""

import os
import resource
import signal

import pytest

from tests.stocksync.engine.command import SECONDS, started, stocksync
from tests.stocksync.engine.running import created, updated
from tests.stocksync.engine.test_command_line import assert_failed, assert_untouched

# More than the pipe holds and the process reads at once: it works while this is written.
TREE = created(1, 10, 1) + created(2, 10, 2, parent=1)
MUCH = TREE + b"".join(updated(1, 5 + number % 2, 10 + number) for number in range(40_000))
FULL_BYTES = 50_000


@pytest.fixture
def target(tmp_path):
    """An output file of an earlier run."""
    path = tmp_path / "commands.txt"
    path.write_text("earlier\n")
    return path


@pytest.fixture
def rejects(tmp_path):
    path = tmp_path / "rejects.txt"
    path.write_text("earlier rejects\n")
    return path


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize(
    ("sent", "code"),
    [(signal.SIGINT, {130}), (signal.SIGTERM, {130, 143, -signal.SIGTERM}), (signal.SIGHUP, {143})],
)
def test_a_stopped_run_leaves_the_earlier_output(sent, code, jobs, target, rejects):
    process = started("-", target, "--rejects", rejects, "--jobs", jobs)
    process.stdin.write(MUCH)
    process.stdin.flush()
    process.send_signal(sent)
    _, told = process.communicate(timeout=SECONDS)
    assert process.returncode in code
    assert b"Traceback" not in told
    assert_untouched(target, rejects)
    assert rejects.read_text() == "earlier rejects\n"


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_control_c_reaches_all_processes_of_a_run_and_none_complains(jobs, target):
    process = started("-", target, "--jobs", jobs, start_new_session=True)
    process.stdin.write(MUCH)
    process.stdin.flush()
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert b"Traceback" not in told
    assert_untouched(target)


def test_a_killed_run_leaves_the_earlier_output(target):
    process = started("-", target)
    process.stdin.write(MUCH)
    process.stdin.flush()
    process.kill()
    process.communicate(timeout=SECONDS)
    assert target.read_text() == "earlier\n"


def test_the_input_counts_to_its_end_however_slowly_it_comes(target):
    process = started("-", target)
    for start in range(0, len(TREE), 7):
        process.stdin.write(TREE[start : start + 7])
        process.stdin.flush()
    assert target.read_text() == "earlier\n"
    process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    assert target.read_text() == '{"type": "StockSummary", "stocks": {"1": 10, "2": 10}}\n'


@pytest.mark.parametrize("given", [TREE, MUCH], ids=["at the end", "on the way"])
def test_standard_output_on_a_full_disk_exits_with_1(given):
    with open("/dev/full", "wb") as full:
        assert_failed(stocksync("-", "-", given=given, stdout=full))


def test_a_full_disk_leaves_the_earlier_output(target, rejects):
    run = stocksync("-", target, "--rejects", rejects, given=MUCH, preexec_fn=_full_disk)
    assert_failed(run)
    assert_untouched(target, rejects)


def test_a_disk_full_of_rejects_leaves_the_earlier_output(target, rejects):
    given = TREE + b"nonsense\n" * 10_000
    run = stocksync("-", target, "--rejects", rejects, given=given, preexec_fn=_full_disk)
    assert_failed(run)
    assert_untouched(target, rejects)
    assert rejects.read_text() == "earlier rejects\n"


def _full_disk() -> None:
    """Files of the process end at so many bytes; Python makes an OSError of it."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (FULL_BYTES, FULL_BYTES))


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_reader_that_leaves_ends_the_run(jobs, tmp_path):
    """As with `| head -1`: the rest of the output does not fit into the pipe."""
    source = tmp_path / "events.txt"
    source.write_bytes(MUCH)
    process = started(source, "-", "--jobs", jobs)
    with process.stdout as reader:
        assert reader.readline() == b'{"type": "UpdateProduct", "id": 2, "stock": 5}\n'
    process.stdin.close()
    with process.stderr as errors:
        told = errors.read()
    assert process.wait(timeout=SECONDS) == 1
    assert b"Traceback" not in told
    assert b"Exception" not in told


@pytest.mark.parametrize("stream", [0, 1], ids=["input", "output"])
def test_a_closed_standard_stream_exits_with_1(stream, tmp_path):
    source = tmp_path / "events.txt"
    source.write_bytes(TREE)
    arguments = ("-", tmp_path / "out") if stream == 0 else (source, "-")
    assert_failed(stocksync(*arguments, preexec_fn=lambda: os.close(stream)))
    assert list(tmp_path.iterdir()) == [source]
