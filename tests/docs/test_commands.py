"""Every command of README.md and docs/ is run as it stands, or looked at where it can't be."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from django.core.management import CommandError

from config.services.stack import Stack
from tests.docs import rules, texts
from tests.docs.texts import ROOT, Block, Command
from tests.running import NOT_PASSED_ON, SHORT_PERIODS, Running
from tests.services.waiting import until

PICTURE = re.compile("[─│┌└├▶✗·→]")
COMMAND = re.compile(
    r"\s*(\S*python[\d.]* -?m|\.venv/|curl |make |docker |heroku |celery |export )"
)


def parts(command: Command) -> list[Command]:
    """What a && joins, alone."""
    if "<<" in command.text:
        return [command]
    pieces = command.text.split(" && ")
    return [Command(command.place, piece.strip()) for piece in pieces]


ALL = [
    part
    for block in texts.shell_blocks()
    for command in texts.commands(block)
    for part in parts(command)
]


class TestEachIsKnown:
    @pytest.mark.parametrize("command", ALL, ids=lambda command: command.place)
    def test_it_is_right_as_far_as_that_can_be_seen(self, command):
        rule = rules.rule(command.text)
        assert rule is not None, "What is to be done with it? Add a rule to tests/docs/rules.py."
        assert rule.here or rule.reason
        rule.check(command.text)

    def test_a_command_that_nobody_thought_of_has_no_rule(self):
        assert rules.rule("frobnicate stockroom") is None

    @pytest.mark.parametrize(
        "text",
        [
            "python manage.py load_prices prices.csv --gone",
            "python manage.py no_such_command",
            "make nothing",
            "celery -A config.celery worker --consumer nobody",
            "docker compose up --scale nobody=2",
            "heroku ps:scale nobody=1",
            "docker compose run --rm -T nobody true",
            "docker compose up -d nobody",
            "heroku config:set WEB_THREADS=4 NO_SUCH_VARIABLE=1",
            "systemctl enable stockroom@nobody",
            "systemd-run -p User=nobody .venv/bin/python manage.py migrate",
            "cp deploy/nothing /etc",
        ],
    )
    def test_what_is_not_there_is_noticed(self, text):
        with pytest.raises((AssertionError, CommandError, KeyError)):
            rules.rule(text).check(text)

    def test_blocks_with_commands_are_marked(self):
        """```sh, else they would be looked at by nobody."""
        for block in texts.blocks():
            if not block.language and not PICTURE.search(block.text):
                assert not any(map(COMMAND.match, block.text.splitlines())), block.place

    def test_those_in_sentences_have_the_options_they_are_said_to_have(self):
        for place, said in texts.names():
            text = re.sub(r"^([A-Z_]+=\S+ )+(?!celery)", "", said)
            if match := rules.MANAGE.match(text.removeprefix(".venv/bin/").removeprefix("python ")):
                known = rules.options(rules.parser(match[1]))
                assert set(rules.OPTION.findall(match[2])) <= known, f"{place}: {text}"
            elif match := re.match(r"make ([a-z-]+)", text):
                assert match[1] in rules.targets() | {"help"}, f"{place}: {text}"
            elif text.startswith(("celery ", "docker compose ", "heroku ", "systemctl ")):
                for part in parts(Command(place, text)):
                    rules.rule(part.text).check(part.text)

    def test_each_that_runs_elsewhere_is_run_there(self):
        for name, path in rules.RUN_ELSEWHERE.items():
            file, _, called = path.partition("::")
            assert (called or name) in (ROOT / file).read_text(), path

    def test_each_command_of_ours_is_in_the_docs(self):
        said = "\n".join(document.read_text() for document in texts.DOCUMENTS)
        for name, app in rules.get_commands().items():
            if str(app).startswith(rules.OURS) and name not in HOUSEHOLD:
                assert f"manage.py {name}" in said, name


# What only `make run` and `make demo-remove` call.
HOUSEHOLD = {"ensure_demo", "remove_demo"}

SAMPLES = {
    "products.csv": "sku,name\nAB-1,Lamp\nAB-3,Floor lamp\n",
    "redis_data.txt": "\n".join(
        [
            """SET user1 '{"id": 1, "credit": 1000000}'""",
            """SET user2 '{"id": 2, "credit": 1000000}'""",
            """SET stock1 '{"id": 1, "time": ["090000"], "price": [1734], "performance": 0}'""",
        ]
    ),
    "price_data.csv": "Time,Stock,Price\n090001,stock1,1735\n090002,stock2,20\n",
    "events.jsonl": '{"type": "ProductCreated", "id": 1, "stock": 10, "timestamp": 1,'
    ' "parent_id": null}\n',
}
SAMPLES["events.txt"] = SAMPLES["events.jsonl"]
# Sooner done, and what another installation has.
INSTEAD = {
    "https://stockroom.example.com": "$ADDRESS",
    "http://127.0.0.1:8000": "$ADDRESS",
    "localhost:8000": "$ADDRESS",
    "TOKEN=stk_…": 'TOKEN="$TOKEN"',
    "5f1c20d1a9b3e870": "'$ETAG'",
    "--count 100": "--count 3",
    "manage.py": f"'{ROOT}/manage.py'",
}
# Without Kafka not all can be checked, and then this says so.
NOT_ALL_CHECKED = r"(check_data(?: --\S+| \d+)*)$"


@pytest.fixture(scope="module")
def stockroom() -> Iterator[Running]:
    """With ten products, of which three were deleted, and a stock sync job that has ended."""
    given = {name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON}
    short = {"VERIFIER_MIN_SECONDS": "0.2", "VERIFIER_MAX_SECONDS": "0.4", "CHECK_SECONDS": "30"}
    with (
        tempfile.TemporaryDirectory(prefix="stockroom-run-", ignore_cleanup_errors=True) as folder,
        Stack(
            Path(folder) / "var",
            {**given, **SHORT_PERIODS, **short, "WEB_CONCURRENCY": "1"},
            roles=("web", "worker", "deliveries", "orders"),
            engines=("postgres", "valkey"),
            port=0,
        ) as stack,
    ):
        stack.start_engines()
        stack.prepare()
        stack.start_processes()
        stack.wait_ready(240)
        running = Running(stack)
        fill(running)
        yield running


def fill(running: Running) -> None:
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {running.token}"
        api = f"{running.address}/api"

        def made(answer: requests.Response) -> dict:
            answer.raise_for_status()
            return answer.json() if answer.content else {}

        for number in range(1, 11):
            made(session.post(f"{api}/products/", json={"sku": f"S-{number}", "name": "Lamp"}))
        for number in (1, 2, 3):
            made(session.delete(f"{api}/products/{number}/"))
        events = {"file": ("events.jsonl", SAMPLES["events.jsonl"])}
        job = made(session.post(f"{api}/stocksync/jobs/", files=events))
        until(lambda: made(session.get(job["url"]))["ended"], 90)


@pytest.fixture(scope="module")
def shell(stockroom: Running, tmp_path_factory: pytest.TempPathFactory):
    """`shell(script)`: runs it in a folder with the samples and returns what it prints."""
    folder = tmp_path_factory.mktemp("commands")
    for name, text in SAMPLES.items():
        (folder / name).write_text(text)

    def shell(script: str) -> str:
        product = requests.get(
            f"{stockroom.address}/api/products/7/",
            headers={"Authorization": f"Bearer {stockroom.token}"},
            timeout=60,
        )
        variables = {
            **stockroom.stack.environment,
            "ADDRESS": stockroom.address,
            "STOCKROOM": stockroom.address,
            "TOKEN": stockroom.token,
            "ETAG": product.headers.get("ETag", "").strip('"'),
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return shell


BEFORE = f"""
curl() {{ command curl -sS --fail-with-body -m 60 "$@"; }}
python() {{ '{sys.executable}' "$@"; }}
"""


def scripts() -> list[tuple[str, str]]:
    """Place and script of each block of which something is run; the same command only once."""
    found, seen = [], set()
    for block in texts.shell_blocks():
        lines = [command.text for command in runnable(block) if command.text not in seen]
        seen |= {line for line in lines if "manage.py" in line}
        if lines:
            found.append((block.place, "\n".join(lines)))
    return found


def runnable(block: Block) -> Iterator[Command]:
    for command in texts.commands(block):
        rule = rules.rule(command.text)
        if rule is not None and rule.here:
            line = command.text.removeprefix(".venv/bin/")
            yield Command(command.place, line)


SCRIPTS = scripts()


@pytest.mark.parametrize("script", [s for _, s in SCRIPTS], ids=[place for place, _ in SCRIPTS])
def test_it_does_what_it_should(script, shell):
    script = re.sub(NOT_ALL_CHECKED, r"\1 || [ $? = 2 ]", script, flags=re.MULTILINE)
    for written, real in INSTEAD.items():
        script = script.replace(written, real)
    shell(BEFORE + script)


def test_enough_is_run():
    """Not that a change of the table or of a heading leaves nothing."""
    said = "\n".join(script for _, script in SCRIPTS)
    assert {name for name in rules.RUN_HERE if name in said} == rules.RUN_HERE
    assert said.count("curl ") >= 15
