"""Memory goes with the products, not with what events say about them."""

import subprocess
import sys

import pytest

from tests.stocksync.engine.command import ROOT
from tests.stocksync.engine.running import created, updated

CHILDREN = 5_000
MIB = 1024
# Runs the command line with the arguments given and prints the peak of its memory, or of that of
# its workers, in KiB on standard error. Its own ru_maxrss would begin with that of pytest.
MEASURED = """
import re, resource, sys
from stocksync.engine.command_line import main
if __name__ == "__main__":
    code = main(sys.argv[1:])
    own = int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
    print(max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss), file=sys.stderr)
    sys.exit(code)
"""


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("history", ["a tree that sells", "children that wait"])
def test_many_commands_of_few_lines_are_not_in_memory_at_once(tmp_path, jobs, history):
    """About 5,000,000 commands, 250 MB, from less than a piece of the file."""
    children = range(2, CHILDREN + 2)
    if history == "a tree that sells":
        lines = [created(1, 1, 1), *(created(child, 1, child, 1) for child in children)]
        lines += [updated(1, stock, 10_000 + stock) for stock in range(2, 1_002)]
    else:
        few = children[:3_000]
        lines = [*(created(child, child, child, 1) for child in few), created(1, 1, 1)]
    (tmp_path / "in").write_bytes(b"".join(lines))
    (tmp_path / "measured.py").write_text(MEASURED)
    command = [sys.executable, tmp_path / "measured.py", tmp_path / "in", "/dev/null"]
    command += ["--jobs", str(jobs)]
    environment = {"PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
    assert int(run.stderr) < 150 * MIB
