"""The real web process as it is behind a proxy with certificates: SECURE=1."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.web.conftest import new_site
from tests.web.servers import ROOT, Server

MIB = 2**20
SECONDS = 60.0


@dataclass(frozen=True)
class Secured:
    """The server, the demo account's password and token, and the cookie of a signed-in editor."""

    server: Server
    password: str
    token: str
    cookie: str

    def ask(self, method: str, path: str, *, secure: bool = True, **more: Any) -> requests.Response:
        """A request as the proxy hands it on; `path` is sent as it is. Follows no redirect."""
        scheme = {"X-Forwarded-Proto": "https" if secure else "http"}
        headers = {**scheme, "X-Forwarded-For": "203.0.113.9", **more.pop("headers", {})}
        request = requests.Request(method, self.server.url, headers=headers, **more).prepare()
        request.url = self.server.url + path  # as it is: `..` would be resolved
        with requests.Session() as session:
            return session.send(request, allow_redirects=False, timeout=SECONDS)

    def api(self, method: str, path: str, **more: Any) -> requests.Response:
        """A request with the demo account's token, which may do everything."""
        headers = {"Authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        return self.ask(method, path, headers=headers, **more)

    def forget_peak(self) -> None:
        """`peak_bytes` begins anew."""
        Path(f"/proc/{self.server.worker.pid}/clear_refs").write_text("5")

    def peak_bytes(self) -> int:
        """Most memory that the worker has held at a time."""
        status = Path(f"/proc/{self.server.worker.pid}/status").read_text()
        (line,) = (each for each in status.splitlines() if each.startswith("VmHWM"))
        return int(line.split()[1]) * 1024


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    with new_site("secured", folder) as site:
        environment = {
            **site.environment,
            "SECURE": "1",
            "TRUSTED_PROXIES": "1",
            "UPLOAD_MAX_BYTES": str(64 * MIB),
            "STOCKSYNC_MAX_BYTES": str(64 * MIB),
        }
        command = [sys.executable, "manage.py", "ensure_demo"]
        subprocess.run(command, env={**os.environ, **environment}, cwd=ROOT, check=True)
        demo = json.loads((folder / "demo.txt").read_text())
        with Server(environment=environment) as server:
            yield Secured(server, demo["password"], demo["token"], site.cookie)
