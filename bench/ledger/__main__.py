"""What the ledger takes: messages a second into the table, lateness of balances by history.

`python -m bench.ledger [--rounds N] [--quick] [--only NAME] [--rows N] [--messages N] [--profile]`
"""

import argparse
import tempfile
from pathlib import Path

from bench.ledger import lateness, profiled, throughput
from bench.ledger.stage import running

MESSAGES, QUICK_MESSAGES = 200_000, 20_000
SMALL, ROWS, QUICK_ROWS = 10_000, 10_000_000, 200_000
MINUTES, QUICK_MINUTES = 20, 5
REAL_MINUTES = 3
RATE = 5_000
PARTS = ("throughput", "lateness", "minutes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round, small")
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--rows", type=int, help=f"the long history (default {ROWS:,})")
    parser.add_argument("--messages", type=int, help=f"of throughput (default {MESSAGES:,})")
    parser.add_argument("--rate", type=int, default=RATE, help="messages a second while busy")
    parser.add_argument(
        "--profile", action="store_true", help="where the consumer spends its time, only"
    )
    options = parser.parse_args()
    quick = options.quick
    rounds = 1 if quick else options.rounds
    rows = options.rows or (QUICK_ROWS if quick else ROWS)
    messages = options.messages or (QUICK_MESSAGES if quick else MESSAGES)
    if messages % throughput.BATCH:
        parser.error(f"--messages must be a multiple of {throughput.BATCH:,}")

    def wanted(name: str) -> bool:
        return not options.profile and (not options.only or name in options.only)

    with tempfile.TemporaryDirectory(prefix="stockroom-bench-") as name:
        with running(Path(name)) as stage:
            if options.profile:
                profiled.show(stage, messages, ids=False)
                profiled.show(stage, messages, ids=True)
            if wanted("throughput"):
                throughput.show(stage, rounds, messages)
            if wanted("lateness"):
                minutes = QUICK_MINUTES if quick else MINUTES
                lateness.show(stage, rounds, (SMALL, rows), minutes, options.rate)
            if wanted("minutes"):
                lateness.show_real(stage, rows, REAL_MINUTES, options.rate)


if __name__ == "__main__":
    main()
