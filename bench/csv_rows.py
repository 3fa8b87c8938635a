"""Rows per CPU second of products.imports.csv_rows next to bare csv.reader, in the same run.

`python -m bench.csv_rows [FILE]`; without a file it writes the reference sample to a temporary one.
"""

import argparse
import csv
import io
import resource
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from bench.report_figure import tell
from bench.sample_csv import ROWS, write_sample
from products.imports.csv_rows import Carry, PartReader, Row, parse_part

PART_BYTES = 4 * 1024 * 1024
REPEATS = 5
HEADER = b"name,sku,description\n"
WORST = {
    "each line stays inside quotes, 6 bytes": b'a","b\n',
    "each line stays inside quotes, 1 KiB": b'a","' + b"x" * 1_015 + b"b\n",
    "each line opens a quote": b'a,b,"c\n',
    "every other line has a wrong quote": b'a,b,c\nx,y,"z"z\n',
    "a quote left open each 1,000 lines": b'a,b,"\n' + b"a,b,c\n" * 999,
    "each line refused, 2 bytes": b"a\n",
    "each line has a NUL": b"a,b,\0\n",
    "each line has bytes that are not UTF-8": b"Caf\xe9,b,a text of some words and an \xfc\n",
    "blank lines": b"\n",
    "commas only": b"," * 100_000 + b"\n",
}


def bare(data: bytes) -> int:
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline="")
    return sum(1 for _ in csv.reader(text)) - 1


def parts(data: bytes) -> Iterable[tuple[bytes, bool]]:
    for start in range(0, len(data), PART_BYTES):
        yield data[start : start + PART_BYTES], start + PART_BYTES >= len(data)


def in_parts(data: bytes) -> int:
    count = 0
    carry = Carry()
    for part, final in parts(data):
        batch, carry = parse_part(part, carry, encoding="utf-8", final=final)
        count += len(batch.rows)
    return count


def to_copy_text(data: bytes) -> int:
    """Read and make COPY text of it."""
    count = 0
    carry = Carry()
    for part, final in parts(data):
        reader = PartReader(part, carry, encoding="utf-8", final=final)
        for batch in reader:
            count += len(batch.rows)
            copy_text(batch.rows)
        carry = reader.carry
    return count


def copy_text(rows: list[Row]) -> bytes:
    """Escape a batch at once: five passes over a block in place of calls for each field.

    Between fields and rows stand two control characters for the time being. Where a value has one
    of them, each field would have to be escaped by itself (not done here).
    """
    if not rows:
        return b""
    text = "\x1e".join(
        [f"{line}\x1f{sku}\x1f{name}\x1f{description}" for line, sku, name, description, _ in rows]
    )
    if text.count("\x1e") != len(rows) - 1 or text.count("\x1f") != 3 * len(rows):
        raise NotImplementedError
    text = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    text = text.replace("\t", "\\t").replace("\x1f", "\t").replace("\x1e", "\n")
    return text.encode() + b"\n"


def rate(read: Callable[[bytes], int], data: bytes) -> float:
    """Give the best of some runs, by CPU time: other processes then matter less."""
    best = 0.0
    for _ in range(REPEATS):
        start = time.process_time()
        count = read(data)
        best = max(best, count / (time.process_time() - start))
    return best


def print_worst() -> None:
    print(f"\nOne part of {PART_BYTES // 1024**2} MiB of the worst:")
    for name, line in WORST.items():
        data = HEADER + line * (PART_BYTES // len(line))
        physical = data.count(b"\n")
        start = time.process_time()
        for _ in PartReader(data, Carry(), encoding="utf-8", final=False):
            pass
        seconds = time.process_time() - start
        size = len(data) / seconds / 1e6
        print(f"  {name:40} {physical / seconds:12,.0f} lines/s {size:8.2f} MB/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--rows", type=int, default=ROWS)
    options = parser.parse_args()
    if options.file is None:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "sample.csv"
            print(write_sample(path, options.rows))
            data = path.read_bytes()
    else:
        data = options.file.read_bytes()
    baseline = rate(bare, data)
    print(f"{'csv.reader alone':40} {baseline:12,.0f} rows/s")
    for name, read in (
        ("parse_part, parts of 4 MiB", in_parts),
        ("PartReader and COPY text", to_copy_text),
    ):
        rows = rate(read, data)
        print(f"{name:40} {rows:12,.0f} rows/s   {baseline / rows:.2f} × the time of csv.reader")
        how = {"more": True, "baseline": "csv.reader", "bare": baseline}
        tell(name, rows, "rows/s of CPU", **how)
    print_worst()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\nPeak memory {peak:,.0f} MiB, the file itself ({len(data) / 1024**2:,.0f}) included")


if __name__ == "__main__":
    main()
