"""What may stand in a shell block of the docs: how each command is checked, and where it is run.

`RULES` is the table; a command that no line of it knows makes test_commands.py fail. Pure but for
`make -n`.
"""

import re
import shlex
import subprocess
from argparse import ArgumentParser
from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

import yaml
from celery.bin.worker import worker
from django.conf import settings
from django.core.management import BaseCommand, get_commands, load_command_class

from config.celery import app
from tests.docs.texts import ROOT

OURS = ("config", "products", "stocksync", "streaming", "transactions", "webhooks")
DJANGOS = {"changepassword", "check", "createsuperuser", "migrate"}
MANAGE = re.compile(r"manage\.py (\w+)(.*)", re.DOTALL)
OPTION = re.compile(r"(?<![\w-])--?[a-zA-Z][\w-]*")

# Commands that are run here, in a Stockroom with PostgreSQL and Valkey.
RUN_HERE = {
    "check_data",
    "import_products",
    "load_prices",
    "place_orders",
    "reconcile_ledger",
    "reconcile_orders",
    "seed_ledger",
    "seed_redis",
}
# Those that need more, and which tests run them (file::by what, else by name).
RUN_ELSEWHERE = {
    "generate_sales": "tests/streaming/sales/test_generator.py",
    "rekey_sales": "tests/streaming/sales/test_rekey.py",
    "verify_sales": "tests/streaming/sales/test_verify.py",
    "publish_prices": "tests/streaming/prices/test_publish_prices.py",
    "seek_prices": "tests/streaming/prices/test_seek_prices.py",
    "generate_transactions": "tests/transactions/ledger/test_generating.py",
    "run_consumer": "tests/consumers/test_run_consumer.py",
    "check_process": "tests/deploy/test_liveness.py",
    "run_demo": "tests/demo/test_running.py::config.demo",
    "seed_demo": "tests/demo/test_running.py::config.demo",
}


def targets() -> set[str]:
    """Those that `make help` shows."""
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def processes() -> set[str]:
    return set(re.findall(r"^(\w+): ", (ROOT / "Procfile").read_text(), re.MULTILINE))


def services() -> set[str]:
    return set(yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"])


def known_variables() -> set[str]:
    """All that the settings, .env.example and the files of deployments know."""
    known = {name for name in dir(settings) if name.isupper()}
    files = (".env.example", "Procfile", ".profile", "docker-compose.yml", "app.json", "Makefile")
    for file in files:
        known |= set(re.findall(r"\b[A-Z][A-Z0-9_]+\b", (ROOT / file).read_text()))
    return known


def load_command(name: str) -> BaseCommand:
    return load_command_class(get_commands()[name], name)


def parser(name: str) -> ArgumentParser:
    """That of a command of manage.py; KeyError where there is none."""
    return load_command(name).create_parser("manage.py", name)


def options(arguments: ArgumentParser) -> set[str]:
    return {option for action in arguments._actions for option in action.option_strings}


def check_manage(text: str) -> None:
    """The arguments are parsed by the command itself; raises CommandError where they are wrong."""
    name, rest = MANAGE.search(text).groups()
    # verify_sales makes `--from -2h` of it what argparse understands.
    joined = getattr(import_module(load_command(name).__module__), "joined", list)
    parser(name).parse_args(joined(shlex.split(rest.partition(" > ")[0])))
    assert name in RUN_HERE | RUN_ELSEWHERE.keys() | DJANGOS, f"who runs {name}?"


def check_make(text: str) -> None:
    assert re.match(r"make ([a-z-]+)", text)[1] in targets()
    subprocess.run(
        ["make", "-n", *shlex.split(text)[1:]], cwd=ROOT, check=True, capture_output=True
    )


def check_celery(text: str) -> None:
    known = {option for parameter in worker.params for option in parameter.opts}
    known |= {option for more in app.user_options["worker"] for option in more.opts} | {"-A"}
    assert set(OPTION.findall(text)) <= known
    assert "-A config.celery worker" in text
    for names in re.findall(r"(?:--consumer |\bCONSUMERS=)([\w,]+)", text):
        assert set(names.split(",")) <= settings.CONSUMER_CLASSES.keys()
    for names in re.findall(r"-Q ([\w,]+)", text):
        assert set(names.split(",")) <= {queue.name for queue in app.conf.task_queues}


def check_compose(text: str) -> None:
    assert re.match(r"docker compose (up|run|build|stop|exec|logs)\b", text)
    named = re.findall(r"--scale (\w+)=|(?:run|exec|logs)(?: --?\w+)* (\w\S*)", text)
    named += [("", name) for line in re.findall(r"\bup((?: \S+)+)", text) for name in line.split()]
    found = {name for names in named for name in names if name and not re.match("-|[a-z]+=", name)}
    assert found <= services()
    if MANAGE.search(text):
        check_manage(text)


def check_heroku(text: str) -> None:
    if match := re.match(r"heroku ps:scale (.+)", text):
        assert set(re.findall(r"(\w+)=\d+", match[1])) <= processes()
    elif text.startswith("heroku config:set "):
        assert set(re.findall(r" (\w+)=", text)) <= known_variables()
    elif text.startswith("heroku run "):
        check_manage(text)
    else:
        known = "create|addons:create|rollback|maintenance:on|kafka:(topics|consumer-groups):create"
        assert re.match(rf"heroku (logs|{known}|pg:backups:\w+|redis:cli)\b", text)


def check_systemctl(text: str) -> None:
    units = {path.name for path in (ROOT / "deploy/systemd").iterdir()}
    assert set(re.findall(r"\S+\.target", text)) <= units and "stockroom@.service" in units
    for roles in re.findall(r"stockroom@\{?([\w,]+)", text):
        assert set(roles.split(",")) <= processes()


def check_systemd_run(text: str) -> None:
    """As the units run it: their user, folder and variables."""
    unit = (ROOT / "deploy/systemd/stockroom@.service").read_text().splitlines()
    given = [f"Environment={each}" for each in re.findall(r" -E (\S+)", text)]
    assert {*re.findall(r" -p (\S+)", text), *given} <= set(unit)
    check_manage(text)


def check_kafka(text: str) -> None:
    assert set(re.findall(r'"\$(\w+)"', text)) == {"KAFKA_BOOTSTRAP_SERVERS"}


def check_files(text: str) -> None:
    """Those of the project that it names are there."""
    for path in re.findall(r"(?<![\w/.-])(?:deploy/\S+|\.env\.example|\w+\.txt)", text):
        assert list(ROOT.glob(path)), path


def check_export(text: str) -> None:
    assert set(re.findall(r"export (\w+)=", text)) <= known_variables() | {"STOCKROOM", "TOKEN"}


def unchecked(text: str) -> None:
    """Running it is the check."""


class Rule(NamedTuple):
    """`begins`: how such a command begins. `here`: it is run; else `reason` says why it is not."""

    begins: str
    check: Callable[[str], None]
    here: bool
    reason: str = ""


RULES = (
    Rule(rf"\S*python manage\.py ({'|'.join(sorted(RUN_HERE))})\b", check_manage, here=True),
    Rule(r"\S*python manage\.py \w+", check_manage, here=False, reason="see RUN_ELSEWHERE"),
    Rule(r"(cat \S+ \| )?python -m stocksync ", unchecked, here=True),
    Rule(r"curl ", unchecked, here=True),
    Rule(r"(API|ORDER_URL)=", unchecked, here=True),
    Rule(r"export (STOCKROOM|TOKEN)=", unchecked, here=True),
    Rule(r"cat > \.env <<END", unchecked, here=True),
    Rule(r"export \w+_URL=", check_export, here=False, reason="the addresses of others"),
    Rule(r"make ", check_make, here=False, reason="tests/services, tests/demo"),
    Rule(r"(CONSUMERS=\S+ (\\\s+)?)?celery ", check_celery, here=False, reason="tests/consumers"),
    Rule(r"docker compose ", check_compose, here=False, reason="no container engine"),
    Rule(r"heroku ", check_heroku, here=False, reason="no Heroku"),
    Rule(r"systemctl ", check_systemctl, here=False, reason="no systemd; tests/deploy"),
    Rule(r"systemd-run ", check_systemd_run, here=False, reason="no systemd"),
    Rule(
        r"kafka-[a-z-]+\.sh ", check_kafka, here=False, reason="tests/docs/test_kafka_commands.py"
    ),
    Rule(r"(journalctl|useradd|git|cd) ", unchecked, here=False, reason="the machine's own"),
    Rule(r"(install|cp) ", check_files, here=False, reason="changes the machine"),
    Rule(r"python3\.11 -m venv |\.venv/bin/pip ", check_files, here=False, reason="downloads"),
)


def rule(text: str) -> Rule | None:
    """That of a command, None where nobody has thought of it."""
    return next((each for each in RULES if re.match(each.begins, text)), None)
