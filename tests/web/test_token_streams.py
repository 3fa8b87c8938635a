"""Live streams for integrations: opened with an API token, through the real web process."""

import hashlib
import socket
from contextlib import closing

import psycopg2
import pytest
import requests

from config import live

from .conftest import Site
from .event_streams import Stream, event
from .servers import Server, until

pytestmark = pytest.mark.usefixtures("owner_is_viewer")


@pytest.fixture
def owner_is_viewer(site: Site) -> None:
    execute(site, "UPDATE accounts_user SET role = 'viewer', is_active = true")


def execute(site: Site, statement: str, *values: object) -> None:
    with closing(psycopg2.connect(site.database_url)) as connection:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement, values)


def token(site: Site, name: str, *scopes: str, revoked: bool = False) -> str:
    """The secret of a token of the site's user."""
    secret = f"stk_{name}"
    execute(
        site,
        "INSERT INTO accounts_apitoken (owner_id, name, prefix, digest, scopes, trading_users,"
        " created_at, revoked_at) SELECT id, %s, 'stk_', %s, %s, '{}', now(),"
        " CASE WHEN %s THEN now() END FROM accounts_user LIMIT 1",
        name,
        hashlib.sha256(secret.encode()).hexdigest(),
        list(scopes),
        revoked,
    )
    return secret


class TokenStream(Stream):
    """A stream that is opened with a token."""

    def __init__(self, server: Server, secret: str, channel: str) -> None:
        self.connection: socket.socket = server.connect()
        head = f"GET /events/{channel}/ HTTP/1.1\r\nHost: localhost\r\n"
        self.connection.sendall(f"{head}Authorization: Bearer {secret}\r\n\r\n".encode())
        self.connection.setblocking(False)
        self.text = ""
        self.ended = False


@pytest.mark.parametrize("channel", ["import-7", "bulk-7", "imports"])
@pytest.mark.parametrize("scope", ["catalogue:read", "catalogue:write"])
def test_a_token_follows_what_it_may_read(
    web_server: Server, site: Site, channel: str, scope: str
) -> None:
    secret = token(site, f"{channel}-{scope}", scope)
    with TokenStream(web_server, secret, channel) as stream:
        stream.wait_for("stream-open")
        assert "content-type: text/event-stream" in stream.text.lower()
        # Again and again: what is sent before the server has subscribed to Redis is lost.
        until(
            lambda: live.publish(channel, {"rows": 7}) or event('{"rows": 7}') in stream.read(),
            "the event comes through",
        )


@pytest.mark.parametrize(
    ("name", "scopes", "revoked", "channel", "status"),
    [
        ("orders", ["orders:write"], False, "import-7", 403),
        ("none", [], False, "bulk-7", 403),
        ("revoked", ["catalogue:read"], True, "import-7", 401),
        ("nowhere", ["catalogue:read"], False, "nothing-7", 404),
    ],
)
def test_a_token_that_may_not_is_told_why(
    web_server: Server, site: Site, name: str, scopes: list[str], revoked: bool, channel: str,
    status: int,
) -> None:  # fmt: skip
    secret = token(site, name, *scopes, revoked=revoked)
    answer = refused(web_server, channel, f"Bearer {secret}")
    assert answer.status_code == status
    message = answer.json()["error"]["message"]
    if status == 403:
        assert "catalogue:read" in message
    if status == 401:
        assert "revoked" in message and answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("header", ["Bearer stk_unknown", "Bearer", "Bearer \xff"])
def test_an_unknown_token_is_refused(web_server: Server, site: Site, header: str) -> None:
    answer = refused(web_server, "import-7", header, Cookie=site.cookie)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "authentication_failed"


def test_a_stream_is_read_alone(web_server: Server, site: Site) -> None:
    url = f"{web_server.url}/events/import-7/"
    answer = requests.delete(url, headers={"Cookie": site.cookie}, timeout=60)
    assert answer.status_code in (403, 405)
    assert answer.json()["error"]["message"]


def refused(server: Server, channel: str, header: str, **more: str) -> requests.Response:
    headers = {"Authorization": header.encode("latin-1"), **more}
    return requests.get(f"{server.url}/events/{channel}/", headers=headers, timeout=60)
