"""`python -m stocksync INPUT OUTPUT`: a file of events in, a file of commands out."""

import argparse
import json
import os
import signal
import sys
from contextlib import suppress
from typing import IO, Any, Iterator, List, Optional

from .output_files import OutputFile
from .synchronizer import CLOCKS, Synchronizer, Write

DONE, FAILED, INTERRUPTED, TERMINATED = 0, 1, 130, 143  # argparse exits with 2
PIECE_BYTES = 32 * 1024  # what is read at a time: the lines of more do not stay in the CPU's cache
PIECE_BYTES_OF_JOBS = 1024 * 1024  # the smaller the more messages between processes
ENDINGS = """\
exit codes:
  0    done; events may have been refused, see --rejects and --summary
  1    the input can't be read or the output can't be written; OUTPUT is as it was
  2    wrong arguments
  130  interrupted (143: terminated)
"""


class CannotRead(Exception):
    """The input, with why."""


def main(arguments: Optional[List[str]] = None) -> int:
    """Run it; returns the exit code."""
    options = _options(arguments)
    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _terminated)
    try:
        return _run(options)
    except CannotRead as error:
        return _failed(f"can't read {options.input}: {error}")
    except BrokenPipeError:
        # Nobody reads any more; without this Python would complain once more at its end.
        if sys.stdout is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        if error.strerror is None:  # WorkerLost
            return _failed(str(error))
        name = f" {error.filename}" if error.filename else ""
        return _failed(f"can't write{name}: {error.strerror}")
    except KeyboardInterrupt:
        return INTERRUPTED


def _options(arguments: Optional[List[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m stocksync",
        description="Keep the stock of product trees equal: events in, commands out.",
        epilog=ENDINGS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("input", metavar="INPUT", help="file of events, one a line; - for stdin")
    parser.add_argument("output", metavar="OUTPUT", help="file of commands; - for stdout")
    parser.add_argument("--rejects", metavar="FILE", help="file of refused events, with reasons")
    parser.add_argument(
        "--clock",
        choices=CLOCKS,
        default="tree",
        help="an update is stale if its tree (default), or any tree, has a newer one",
    )
    parser.add_argument(
        "--jobs",
        type=_jobs,
        default=1,
        metavar="N",
        help="processes that trees are shared among, the output is the same (default: 1)",
    )
    parser.add_argument("--summary", action="store_true", help="print counts on standard error")
    options = parser.parse_args(arguments)
    if options.rejects is not None and _same(options.rejects, options.output):
        parser.error("OUTPUT and --rejects are the same file")
    for name, path in (("OUTPUT", options.output), ("--rejects", options.rejects)):
        if path is not None and options.input != "-" and _same(path, options.input):
            parser.error(f"INPUT and {name} are the same file: the events would be gone")
    return options


def _jobs(text: str) -> int:
    if not (text.isdigit() and 1 <= int(text) <= 256):
        raise argparse.ArgumentTypeError("must be a whole number from 1 to 256")
    return int(text)


def _same(one: str, other: str) -> bool:
    """Whether both are one file, by whatever names; pipes and devices may serve twice."""
    if "-" in (one, other):
        return one == other
    if os.path.exists(one) and os.path.exists(other):
        return os.path.isfile(one) and os.path.samefile(one, other)
    return os.path.realpath(one) == os.path.realpath(other)


def _run(options: argparse.Namespace) -> int:
    source = _open(options.input)
    files: List[OutputFile] = []
    try:
        output = OutputFile(options.output)
        files.append(output)
        rejects = None
        if options.rejects is not None:
            rejects = OutputFile(options.rejects)
            files.insert(0, rejects)  # in its place before the output, which says that all is done
        refuse = _forget if rejects is None else rejects.write
        with _synchronizer(options.clock, options.jobs, output.write, refuse) as sync:
            size = PIECE_BYTES if options.jobs == 1 else PIECE_BYTES_OF_JOBS
            for piece in _pieces(source, size):
                sync.feed(piece)
            sync.finish()
            for part in sync.summary():
                output.write(part)
            for file in files:
                file.commit()
            _tell(sync.counts.as_dict(), options)
    finally:
        for file in files:
            file.discard()
        source.close()
    return DONE


def _synchronizer(clock: str, jobs: int, write: Write, refuse: Write) -> Any:
    # One clock for all trees makes each of them wait for the others.
    if jobs == 1 or clock == "global":
        return Synchronizer(clock, False, write, refuse)
    from .parallel import ParallelSynchronizer  # takes longer to import than many a file to do

    return ParallelSynchronizer(jobs, write, refuse)


def _open(path: str) -> IO[bytes]:
    if path == "-":
        if sys.stdin is None:
            raise CannotRead("standard input is closed")
        return sys.stdin.buffer
    try:
        return open(path, "rb")
    except OSError as error:
        raise CannotRead(error.strerror) from None


def _pieces(source: Any, size: int) -> Iterator[bytes]:
    """The input as it comes: what a slow sender has sent is worked off at once."""
    while True:
        try:
            piece = source.read1(size)
        except OSError as error:
            raise CannotRead(error.strerror) from None
        if not piece:
            return
        yield piece


def _forget(_: bytes) -> None:
    """Rejects that nobody asked for; `_tell` says how many there were."""


def _tell(counts: Any, options: argparse.Namespace) -> None:
    if options.summary:
        _say(json.dumps(counts, indent=2))
        return
    lost = sum(counts["refused"].values()) + counts["never_created"]
    if lost and options.rejects is None:
        _say(
            "stocksync: {:,} of {:,} events were refused, or their products never created;"
            " --rejects FILE keeps them with their reasons".format(lost, counts["events"])
        )


def _failed(message: str) -> int:
    _say("stocksync: " + message)
    return FAILED


def _say(text: str) -> None:
    """On standard error, if there is one: what is said there is not worth failing for."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(text, file=sys.stderr)


def _terminated(*_: Any) -> None:
    sys.exit(TERMINATED)
