"""`python -m config.services run`, `backup`, `restore`, `install-for-tests`; for the Makefile."""

import argparse
import logging
import os
import sys
from pathlib import Path

from config.services import backup, install, kafka, restore, state_folder
from config.services.backup_file import BackupError
from config.services.engine import EngineError
from config.services.engines import ENGINES
from config.services.stack import PROJECT
from config.services.stack_error import StackError
from config.services.supervisor import TOOLS, Supervisor, var_dir, with_env_file


def run() -> int:
    """Run Stockroom until a signal. Returns the exit code."""
    try:
        environment = with_env_file(os.environ)
        folder = var_dir(environment)
        state_folder.make_ready(folder, environment, print)
        supervisor = Supervisor(folder, environment, sys.stdout)
    except (StackError, EngineError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return supervisor.run()


def make_backup(to: str) -> int:
    """Write a backup into the folder `to`. Returns the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        environment = with_env_file(os.environ)
        folder = PROJECT / (to or "backups")
        backup.backup(var_dir(environment), folder, environment, print)
    except (BackupError, EngineError, StackError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def restore_backup(file: str, force: bool) -> int:
    """Restore the backup `file`; over data with `force`, or a yes. Returns the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")

    def agree(there: str) -> bool:
        print(there)
        if force:
            return True
        if not sys.stdin.isatty():
            print("FORCE=1 replaces it.", file=sys.stderr)
            return False
        return input("Replace it? Type yes: ") == "yes"

    try:
        environment = with_env_file(os.environ)
        path = Path(file).expanduser().resolve()
        restore.restore(var_dir(environment), path, environment, agree, print)
    except (BackupError, EngineError, StackError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


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
    taking = commands.add_parser("backup", help="write all data into one file")
    taking.add_argument("--to", default="", metavar="FOLDER", help="by default backups/")
    giving = commands.add_parser("restore", help="make the data anew from a backup")
    giving.add_argument("file")
    giving.add_argument("--force", action="store_true", help="over data that is there")
    arguments = parser.parse_args()
    if arguments.command == "run":
        return run()
    if arguments.command == "backup":
        return make_backup(arguments.to)
    if arguments.command == "restore":
        return restore_backup(arguments.file, arguments.force)
    return install_for_tests()


if __name__ == "__main__":
    sys.exit(main())
