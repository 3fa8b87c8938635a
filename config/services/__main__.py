"""`python -m config.services run` and `install-for-tests`; called by the Makefile."""

import argparse
import logging
import os
import sys

from config.services import install, kafka
from config.services.engine import EngineError
from config.services.stack import ENGINES, StackError
from config.services.supervisor import TOOLS, Supervisor, var_dir, with_env_file


def run() -> int:
    """Run Stockroom until a signal. Returns the exit code."""
    try:
        environment = with_env_file(os.environ)
        supervisor = Supervisor(var_dir(environment), environment, sys.stdout)
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    return supervisor.run()


def install_for_tests() -> int:
    """Install what the tests need from the system: Java and Maven, RabbitMQ, Chromium.

    An engine whose address the environment gives needs nothing. Returns the exit code.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    needed = [
        name
        for name in TOOLS
        if not all(os.environ.get(variable) for variable in ENGINES[name].provides)
    ]
    tools = [install.CHROMIUM]
    for name in needed:
        tools += TOOLS[name]()
    try:
        install.ensure(tools)
        if "kafka" in needed:
            kafka.fetch()
    except EngineError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m config.services", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="run Stockroom on this machine until Ctrl-C")
    commands.add_parser("install-for-tests", help="install system packages that tests need")
    arguments = parser.parse_args()
    if arguments.command == "run":
        return run()
    return install_for_tests()


if __name__ == "__main__":
    sys.exit(main())
