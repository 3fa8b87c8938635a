"""`python -m config.demo run` and `remove`; called by the Makefile."""

import argparse
import os
import subprocess
import sys

from config.demo.supervisor import DemoSupervisor
from config.services.engine import EngineError
from config.services.stack import PROJECT, Stack
from config.services.stack_error import StackError
from config.services.state_folder import lock_of, make_ready, make_whole
from config.services.supervisor import AT_ONCE, var_dir, with_env_file

ASKED = "Remove the sample products, endpoint, shares, users, orders and ledger rows? Type yes: "


def run() -> int:
    """Run the demo until a signal. Returns the exit code."""
    environment = with_env_file(os.environ)
    folder = var_dir(environment)
    make_ready(folder, environment, print)
    return DemoSupervisor(folder, environment, sys.stdout).run()


def remove() -> int:
    """Ask, then remove the demo's data: of the Stockroom that runs, else with its engines alone."""
    environment = with_env_file(os.environ)
    folder = var_dir(environment)
    try:
        agreed = input(ASKED).strip() == "yes"
    except EOFError:
        agreed = False
    if not agreed:
        print("Nothing removed.")
        return 0
    lock = lock_of(folder)
    if lock is None:
        # It runs: `run.env` in its folder leads manage.py to its engines.
        command = [sys.executable, "manage.py", "remove_demo", "--yes"]
        return subprocess.run(command, cwd=PROJECT, env=environment, check=False).returncode
    with lock:
        make_whole(folder, environment, print, AT_ONCE)
        with Stack(folder, environment, roles=(), engines=AT_ONCE, port=0) as stack:
            stack.start_engines(AT_ONCE)
            stack.prepare()
            print(stack.manage("remove_demo", "--yes"), end="")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m config.demo", description=__doc__)
    parser.add_argument("command", choices=["run", "remove"])
    try:
        return run() if parser.parse_args().command == "run" else remove()
    except (StackError, EngineError, OSError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
