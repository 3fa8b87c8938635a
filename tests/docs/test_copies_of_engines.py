"""docs/data.md, "Other engines": its commands copy PostgreSQL and Valkey, and bring them back.

There is no container engine: `Compose` runs what `docker compose` would run in a container beside
the engine itself, with what a container of it has (its folder, its user, its client without a
password).
"""

import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest
import redis

from config.services.engine import Engine
from config.services.postgres import binary
from config.services.stack import Stack
from tests.debian import program
from tests.docs import texts
from tests.services.test_backup import rows, seed, stack, values
from tests.services.waiting import until

SECONDS = 300
LIBRARIES_OF_REDIS = ("liblzf1", "libjemalloc2")


def redis_cli() -> Path:
    return program("redis-cli", "redis-tools", *LIBRARIES_OF_REDIS)


def in_a_sentence(begin: str) -> str:
    """The one command in backticks of docs/data.md that begins so."""
    (found,) = {
        each.text
        for each in texts.names()
        if each.place.startswith("docs/data.md") and each.text.startswith(f"{begin} ")
    }
    return found


def in_blocks() -> list[str]:
    return [
        command.text
        for block in texts.shell_blocks()
        if block.place.startswith("docs/data.md") and "docker compose" in block.text
        for command in texts.commands(block)
    ]


def run(command: str, folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["sh", "-ec", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


class Compose:
    """`compose(command)` of the docs' `docker compose …`, with a Stack's engines as services."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack, self.folder = stack, folder
        self.engines = {name: stack.leave_engine(name) for name in ("postgres", "valkey")}
        self.said: list[str] = []
        programs = folder / "bin"
        programs.mkdir()
        password = urlsplit(stack.environment["REDIS_URL"]).password
        client = programs / "valkey-cli"
        port = self.engines["valkey"].port
        client.write_text(
            f'#!/bin/sh\nREDISCLI_AUTH={password} exec {redis_cli()} -p {port} "$@"\n'
        )
        client.chmod(0o755)
        self.path = f"{programs}:{binary('pg_dump').parent}:{os.environ['PATH']}"

    def __call__(self, command: str) -> None:
        words = shlex.split(command.replace("\\\n", ""))
        streams = {}
        if words[-2] in "<>":
            name = {"<": "stdin", ">": "stdout"}[words[-2]]
            streams[name] = (self.folder / words[-1]).open("rb" if name == "stdin" else "wb")
            words = words[:-2]
        assert words[:2] == ["docker", "compose"]
        verb, *arguments = words[2:]
        arguments = [each for each in arguments if each not in ("-T", "-d", "--rm", "--wait")]
        if verb in ("stop", "up"):
            for name in arguments or self.engines:
                getattr(self.engines[name], {"stop": "stop", "up": "start"}[verb])()
            return
        service, *inside = arguments
        assert self.engines["postgres"].running or (verb, service) == ("run", "valkey")
        if service == "migrate":
            self.said.append(self.stack.manage(*(inside or ["_", "_", "migrate", "--noinput"])[2:]))
            return
        done = subprocess.run(
            inside,
            cwd=self.engines[service].data_dir,
            env=self.environment(service),
            stderr=subprocess.PIPE,
            timeout=SECONDS,
            **streams,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr.decode()}"

    def environment(self, service: str) -> dict[str, str]:
        if service == "valkey":
            return {"PATH": self.path}
        database = urlsplit(self.stack.environment["DATABASE_URL"])
        return {
            "PATH": self.path,
            "PGHOST": database.hostname,
            "PGPORT": str(database.port),
            "PGPASSWORD": database.password,
            "POSTGRES_USER": database.username,
            "POSTGRES_DB": database.path[1:],
        }


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack(Path(tmp_path_factory.mktemp("copied")) / "var") as made:
        seed(made)
        yield made


def test_the_tables_commands_copy_both(
    seeded: Stack, tmp_path: Path, own_valkey: Callable[[], Engine]
) -> None:
    path = f"{binary('pg_dump').parent}:{redis_cli().parent}:{os.environ['PATH']}"
    environment = {**seeded.environment, "PATH": path}
    run(in_a_sentence("pg_dump --format=custom"), tmp_path, environment)
    run(in_a_sentence("redis-cli -u"), tmp_path, environment)
    into = environment["DATABASE_URL"] + "_copy"
    with closing(psycopg2.connect(environment["DATABASE_URL"])) as connection:
        connection.autocommit = True
        connection.cursor().execute("CREATE DATABASE stockroom_copy")
    run(in_a_sentence("pg_restore --no-owner"), tmp_path, {**environment, "DATABASE_URL": into})
    assert rows(into) == rows(environment["DATABASE_URL"])

    server = own_valkey()
    server.stop()
    for file in (server.data_dir / "appendonlydir").iterdir():
        file.unlink()
    (tmp_path / "prices.rdb").rename(server.data_dir / "dump.rdb")
    server.settings["appendonly"] = "no"
    server.start()
    with redis.from_url(server.variables()["REDIS_URL"]) as client:
        client.config_set("appendonly", "yes")
        until(lambda: not client.info("persistence")["aof_rewrite_in_progress"], SECONDS)
        until(lambda: not client.info("persistence")["aof_rewrite_scheduled"], SECONDS)
    server.stop()
    server.settings["appendonly"] = "yes"
    server.start()
    assert values(server.variables()) == values(environment)


def test_compose_s_commands_copy_both_and_bring_them_back(seeded: Stack, tmp_path: Path) -> None:
    compose = Compose(seeded, tmp_path)
    commands = in_blocks()
    back = commands.index("docker compose stop")
    for command in commands[:back]:
        compose(command)
    before = rows(seeded.environment["DATABASE_URL"]), values(seeded.environment)

    with closing(psycopg2.connect(seeded.environment["DATABASE_URL"])) as connection:
        connection.autocommit = True
        connection.cursor().execute("TRUNCATE products_product, transactions_order CASCADE")
    with redis.from_url(seeded.environment["REDIS_URL"]) as client:
        client.flushall()
        client.set("later", "1")

    for command in commands[back:]:
        compose(command)
    assert (rows(seeded.environment["DATABASE_URL"]), values(seeded.environment)) == before
    assert any("No drift." in said for said in compose.said), compose.said
    # And so it stays when they are started again.
    compose("docker compose stop")
    compose("docker compose up -d")
    assert values(seeded.environment) == before[1]
