"""What BuyStock takes: its answers, decisions a second, how soon they are heard of, memory.

`python -m bench.orders [--rounds N] [--quick] [--only NAME] [--orders N]`
"""

import argparse
import tempfile
from pathlib import Path

from bench.orders import delays, memory, placing, throughput
from bench.orders.stage import running

PARTS = ("placing", "delays", "throughput", "memory")
RATES = (50, 200)
DECISIONS = (20, 200)
PLACING_SECONDS, QUICK_PLACING_SECONDS = 6.0, 3.0
DECIDING_SECONDS, QUICK_DECIDING_SECONDS = 10.0, 4.0
VERIFIED, HELD = 2_000, 5_000
ORDERS, QUICK_ORDERS = 10_000, 3_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="one round, short")
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--orders", type=int, help=f"of throughput (default {ORDERS:,})")
    options = parser.parse_args()
    quick = options.quick
    rounds = 1 if quick else options.rounds
    orders = options.orders or (QUICK_ORDERS if quick else ORDERS)

    def wanted(name: str) -> bool:
        return not options.only or name in options.only

    with tempfile.TemporaryDirectory(prefix="stockroom-bench-") as name:
        with running(Path(name)) as stage:
            if wanted("placing"):
                seconds = QUICK_PLACING_SECONDS if quick else PLACING_SECONDS
                placing.show(stage, rounds, RATES, seconds, VERIFIED)
            if wanted("delays"):
                seconds = QUICK_DECIDING_SECONDS if quick else DECIDING_SECONDS
                for _ in range(rounds):
                    delays.show(stage, DECISIONS, seconds)
            if wanted("throughput"):
                throughput.show(stage, rounds, orders)
            if wanted("memory"):
                memory.show(stage, HELD)


if __name__ == "__main__":
    main()
