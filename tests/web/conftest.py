"""The real web process over a database of its own, on the run's engines."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest

from .servers import ROOT, Server


@dataclass(frozen=True)
class Site:
    """What a web process needs, and the cookie of somebody who is signed in."""

    environment: Mapping[str, str]
    cookie: str
    database_url: str

    def connections(self) -> int:
        """Connections to the database, by whomever."""
        with psycopg2.connect(os.environ["DATABASE_URL"]) as connection:
            cursor = connection.cursor()
            name = urlsplit(self.database_url).path[1:]
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", [name])
            (count,) = cursor.fetchone()
        connection.close()
        return count


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with new_site("web", tmp_path_factory.mktemp("web")) as site:
        yield site


@contextmanager
def new_site(word: str, folder: Path) -> Iterator[Site]:
    """A Site with a database of its own, which has `word` in its name; its files in `folder`."""
    name = f"stockroom_{word}_{os.getpid()}"
    url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
    environment = {
        "DATABASE_URL": url,
        "STOCKROOM_VAR": str(folder),
        "LIVE_KEEP_ALIVE_SECONDS": "1",
        "LIVE_PING_SECONDS": "0.5",
    }
    _execute(f"CREATE DATABASE {name}")
    try:
        prepared = subprocess.run(
            [sys.executable, "-m", "tests.web.prepare"],
            env={**os.environ, **environment},
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert prepared.returncode == 0, prepared.stderr
        yield Site(environment, f"sessionid={prepared.stdout.strip()}", url)
    finally:
        _execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def web_server(site: Site) -> Iterator[Server]:
    """The web process of the run. A test that ends it makes one of its own."""
    with Server(environment=site.environment) as server:
        yield server


def _execute(statement: str) -> None:
    connection = psycopg2.connect(os.environ["DATABASE_URL"])
    try:
        connection.autocommit = True
        connection.cursor().execute(statement)
    finally:
        connection.close()
