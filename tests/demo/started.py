"""`python -m config.demo run` in a process of its own, as `make demo` calls it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg2

from config.services.env_file import read
from tests.services.test_run import ENGINE_VARIABLES, PROJECT
from tests.services.waiting import until

SECONDS = 480.0


class Demo:
    """A running demo; what it says goes into a file."""

    def __init__(self, folder: Path, engines: str) -> None:
        """`engines`: those that it starts, as STOCKROOM_ENGINES has them."""
        self._var_dir = folder / "var"
        self._said = folder / "said"
        environment = {k: v for k, v in os.environ.items() if k not in ENGINE_VARIABLES}
        self.environment = environment | {
            "STOCKROOM_VAR": str(self._var_dir),
            "STOCKROOM_ENGINES": engines,
            "WEB_CONCURRENCY": "1",
            "PRICES_PERFORMANCE_PROCESSES": "1",
            "VERIFIER_MIN_SECONDS": "0",
            "VERIFIER_MAX_SECONDS": "1",
        }
        with self._said.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "config.demo", "run"],
                cwd=PROJECT,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self._said.read_text(errors="replace")

    def says(self, text: str) -> None:
        """Wait until it has said so."""

        def look() -> bool:
            assert self.process.poll() is None, self.said
            return text in self.said

        try:
            until(look, SECONDS)
        except AssertionError:
            raise AssertionError(f"no {text!r} in\n{self.said[-20_000:]}") from None

    @property
    def address(self) -> str:
        """Where web is, once it has said so."""
        return re.search(r"running at (\S+)", self.said)[1]

    def account(self) -> dict[str, str]:
        """`user`, `password`, `token` of the one that it has made."""
        return {"user": "demo", **json.loads((self._var_dir / "demo.txt").read_text())}

    def counts(self, statement: str) -> Any:
        connection = psycopg2.connect(read(self._var_dir / "run.env")["DATABASE_URL"])
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchone()[0]
        finally:
            connection.close()

    def remove(self) -> str:
        """What `make demo-remove` says to a yes."""
        return subprocess.run(
            [sys.executable, "-m", "config.demo", "remove"],
            cwd=PROJECT,
            env=self.environment,
            input="yes\n",
            capture_output=True,
            text=True,
            check=True,
            timeout=SECONDS,
        ).stdout
