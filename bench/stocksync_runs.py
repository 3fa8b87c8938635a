"""Runs of the command line as processes of their own, with what they took. For bench.stocksync."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

# Says its own peak and CPU at its end: what wait4 tells includes the process that started it, and
# the processes that it started.
SAYS_ITS_OWN = """
import re, runpy, sys, time
sys.argv = sys.argv[1:]
try:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
finally:
    with open("/proc/self/status") as status:
        peak = re.search(r"VmHWM:\\s+(\\d+) kB", status.read()).group(1)
    print(peak, time.process_time(), file=sys.stderr)
"""


class Run(NamedTuple):
    """What a process took with its children; what begins with `own` is its alone."""

    seconds: float
    cpu_seconds: float
    own_peak_bytes: int = 0
    own_cpu_seconds: float = 0.0
    output_bytes: int = 0


def sample(directory: Path, megabytes: float, trees: int, literals: bool = False) -> Path:
    """Write a file of events, in a process of its own so that this one stays small."""
    path = directory / f"{megabytes:g}-{trees}{'-literals' if literals else ''}.txt"
    command = [sys.executable, "-m", "bench.sample_stocksync", str(path), "--trees", str(trees)]
    command += ["--mb", str(megabytes), *(["--literals"] if literals else [])]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return path


def command_line(path: Path, output: Path, jobs: int = 1) -> Run:
    """`python -m stocksync` on a file, with rejects beside the output."""
    run, _ = _run(["-m", *_words(path, output, jobs)])
    return run._replace(output_bytes=output.stat().st_size)


def apart(path: Path, output: Path, jobs: int = 1) -> Run:
    """The same, with what is its own; takes a moment more."""
    run, said = _run(["-c", SAYS_ITS_OWN, *_words(path, output, jobs)])
    peak, cpu_seconds = said.splitlines()[-1].split()
    size = output.stat().st_size
    return run._replace(
        output_bytes=size, own_peak_bytes=int(peak) * 1024, own_cpu_seconds=float(cpu_seconds)
    )


def startup() -> Run:
    """What the interpreter itself takes."""
    return _run(["-c", "pass"])[0]


def _words(path: Path, output: Path, jobs: int) -> list[str]:
    rejects = str(output.with_suffix(".rejects"))
    return ["stocksync", str(path), str(output), "--rejects", rejects, "--jobs", str(jobs)]


def _run(words: list[str]) -> tuple[Run, str]:
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *words], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    if process.returncode:
        raise RuntimeError(f"{words} ended with {process.returncode}: {said}")
    return Run(seconds, usage.ru_utime + usage.ru_stime), said
