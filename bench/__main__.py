"""`python -m bench [NAME …] [--quick]`, by `make bench`: each bench in a process of its own."""

import subprocess
import sys

BENCHES = (
    "csv_rows",
    "ledger",
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


def main() -> int:
    options = [word for word in sys.argv[1:] if word.startswith("-")]
    names = [word for word in sys.argv[1:] if not word.startswith("-")] or BENCHES
    unknown = set(names) - set(BENCHES)
    if unknown:
        print(f"No bench {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}.")
        return 2
    failed = 0
    for name in names:
        print(f"== {name}", flush=True)
        command = [sys.executable, "-m", f"bench.{name}"]
        if name in WITH_OPTIONS:
            command += options
        failed |= subprocess.run(command, check=False).returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
