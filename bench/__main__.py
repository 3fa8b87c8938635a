"""`python -m bench [NAME …] [options of the benches]`, by `make bench`.

Each bench is a process of its own; what they tell (report_figure.py) becomes docs/benchmarks.md.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from bench import report_machine
from bench.report_figure import VARIABLE, Figure, told
from bench.report_picture import picture
from bench.report_results import Results, Run, dumped, loaded, reason
from bench.report_table import page
from config.services.stack import PROJECT

BENCHES = (
    "csv_rows",
    "ledger",
    "operations",
    "orders",
    "prices",
    "products_import",
    "products_search",
    "sales",
    "stocksync",
    "web",
    "webhooks",
)
WITH_OPTIONS = {*BENCHES} - {"csv_rows", "web"}
PARTIAL = ("--only", "--profile")  # options of runs that do not measure all
DOCS = PROJECT / "docs"
TAIL_LINES = 20
LONGEST_SECONDS = 3600.0  # of one bench: what hangs must not keep the others from running


def main(words: Sequence[str]) -> int:
    options = [word for word in words if word not in BENCHES]
    if options and not options[0].startswith("-"):
        print(f"No bench {options[0]}; there are {', '.join(BENCHES)}.")
        return 2
    failed = 0
    read(DOCS)  # before hours of measuring, if it can't be read
    for name in [word for word in words if word in BENCHES] or BENCHES:
        print(f"== {name}", flush=True)
        own = options if name in WITH_OPTIONS else []
        run, figures = measured(name, [sys.executable, "-m", f"bench.{name}", *own], own)
        whole = not any(word.startswith(PARTIAL) for word in own)
        if not run.failure and not figures:
            if not whole:  # it showed something else, as --profile does
                continue
            run = replace(run, failure="it ended well, but told no figure")
        if run.failure:
            failed = 1
            print(f"== {name} failed: {run.failure}", flush=True)
        # After each, so that one that is broken off costs the others nothing.
        save(DOCS, read(DOCS).with_run(run, figures, whole=whole), BENCHES)
    print(f"Written: {(DOCS / 'benchmarks.md').relative_to(PROJECT)}")
    return failed


def measured(
    name: str,
    command: Sequence[str],
    options: Sequence[str],
    longest: float = LONGEST_SECONDS,
) -> tuple[Run, list[Figure]]:
    """Run a bench, showing what it prints; what it has told, also where it failed.

    After `longest` seconds it is killed, with all that it has started.
    """
    at, before, began = datetime.now(UTC), report_machine.load(), time.monotonic()
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    with tempfile.TemporaryDirectory(prefix="stockroom-bench-") as folder:
        path = Path(folder) / "figures"
        path.touch()
        with subprocess.Popen(
            command,
            env={**os.environ, VARIABLE: str(path)},
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout is not None
            limit = threading.Timer(longest, _signal, [process, signal.SIGKILL])
            limit.start()
            try:
                for line in process.stdout:
                    print(line, end="", flush=True)
                    tail.append(line)
            except KeyboardInterrupt:  # which reached us alone
                _signal(process, signal.SIGINT)
                raise
            finally:
                limit.cancel()
        code = process.returncode
        figures = told(path.read_text())
    failure = reason("".join(tail), code) if code else ""
    if code == -signal.SIGKILL and time.monotonic() - began >= longest:
        failure = f"it had not ended after {longest:g} s"
    run = Run(
        bench=name,
        at=f"{at:%Y-%m-%d %H:%M} UTC",
        load=f"{before} before, {report_machine.load()} after",
        options=" ".join(options),
        commit=report_machine.commit(),
        seconds=round(time.monotonic() - began, 1),
        failure=failure,
        machine=report_machine.facts(),
    )
    return run, figures


def _signal(process: subprocess.Popen[str], number: int) -> None:
    """To it and its children. Engines of one that is killed are stopped by their reaper."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def read(docs: Path) -> Results:
    """All results so far; none where there are none yet."""
    path = docs / "benchmarks" / "results.json"
    return loaded(path.read_text()) if path.exists() else Results()


def save(docs: Path, results: Results, benches: Sequence[str]) -> None:
    """results.json, the page and the pictures; a bench's old picture goes where it has none."""
    folder = docs / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(dumped(results))
    (docs / "benchmarks.md").write_text(page(results, benches, pictures(folder, results, benches)))


def pictures(folder: Path, results: Results, benches: Sequence[str]) -> Mapping[str, str]:
    """Write those that there are; paths from the page, by bench."""
    found = {}
    for name in benches:
        figures = [row.figure for row in results.of(name)]
        drawn = picture(f"{name}: ratios to the bare baseline", figures)
        path = folder / f"{name}.svg"
        if drawn is None:
            path.unlink(missing_ok=True)
        else:
            path.write_text(drawn)
            found[name] = f"{folder.name}/{path.name}"
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
