"""/healthz and /readyz: what is needed, what is merely missed, and nothing given away."""

import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests
from django.db import connection, connections
from django.http.request import validate_host
from django.test import Client

from config import asgi, health
from config.services.engine import Engine
from config.services.ports import LOOPBACK, Port
from config.version import version

from .conftest import Site
from .servers import Server, until

SECRET = "a-password-nobody-may-see"
# All of it is waited for where an engine is mute; the others have to answer meanwhile.
MUTE_SECONDS = 5.0


@pytest.fixture(autouse=True)
def _fresh(settings) -> None:
    health._monitor.forget()
    settings.READY_TIMEOUT_SECONDS = 60.0
    settings.KAFKA_BOOTSTRAP_SERVERS, settings.AMQP_URL = [], ""
    settings.PRICES_REDIS_URL = settings.KEYDB_URL = settings.REDIS_URL


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where nothing listens."""
    port = Port()
    yield f"{LOOPBACK}:{port.number}"
    port.close()


@pytest.fixture
def mute() -> Iterator[str]:
    """An address that takes connections and never says a word."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        yield f"{LOOPBACK}:{listener.getsockname()[1]}"


def test_two_redis_servers_without_numbers_of_databases_are_both_asked(settings) -> None:
    settings.REDIS_URL, settings.PRICES_REDIS_URL = "redis://one:6379", "redis://two:6379"
    settings.KEYDB_URL = "redis://one:6379/2"
    assert [each.name for each in health._checks()] == ["postgres", "redis", "prices-redis"]


def ready() -> tuple[int, dict]:
    answer = Client().get("/readyz")
    assert SECRET not in answer.content.decode()
    return answer.status_code, answer.json()


@pytest.mark.parametrize("names", [["shop.example", "localhost"], [".shop.example"], ["*"]])
def test_a_probe_has_a_host_that_is_allowed(settings, names: list[str]) -> None:
    settings.ALLOWED_HOSTS = names
    assert validate_host(asgi._allowed_host().decode(), names)


def test_alive_needs_no_engine_and_no_login() -> None:
    # No database mark: a query would fail this test.
    answer = Client().get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "version": version()}
    assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.django_db
def test_ready_with_all_engines() -> None:
    status, answer = ready()
    assert (status, answer["status"]) == (200, "ready")
    assert list(answer["engines"]) == ["postgres", "redis"]
    assert all(engine["status"] == "ok" for engine in answer["engines"].values())


@pytest.mark.django_db
def test_not_ready_without_redis(settings, nobody: str) -> None:
    settings.REDIS_URL = f"redis://:{SECRET}@{nobody}/0"
    status, answer = ready()
    assert (status, answer["status"]) == (503, "not ready")
    redis = answer["engines"]["redis"]
    assert (redis["status"], redis["required"]) == ("down", True)
    assert "REDIS_URL" in redis["advice"]
    assert answer["engines"]["postgres"]["status"] == "ok"


@pytest.mark.django_db
def test_a_wrong_password_is_told_from_an_absent_engine(settings) -> None:
    url = urlsplit(settings.REDIS_URL)
    settings.REDIS_URL = f"redis://:{SECRET}@{url.hostname}:{url.port}/0"
    assert "refuses our user or password" in ready()[1]["engines"]["redis"]["detail"]


@pytest.mark.parametrize("where", ["nobody", "mute"])
def test_not_ready_without_postgres(
    settings, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, where: str
) -> None:
    settings.READY_TIMEOUT_SECONDS = MUTE_SECONDS
    host, port = request.getfixturevalue(where).split(":")
    elsewhere = {**connections["default"].get_connection_params(), "host": host, "port": port}
    monkeypatch.setattr(
        "django.db.backends.postgresql.base.DatabaseWrapper.get_connection_params",
        lambda _: {**elsewhere, "password": SECRET},
    )
    status, answer = ready()
    assert status == 503
    assert answer["engines"]["postgres"]["status"] == "down"
    assert answer["engines"]["redis"]["status"] == "ok"


@pytest.mark.django_db(transaction=True)
def test_not_ready_before_migrations_are_applied() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(id) FROM django_migrations")
        (newest,) = cursor.fetchone()
        cursor.execute("UPDATE django_migrations SET app = 'x' || app WHERE id = %s", [newest])
        try:
            status, answer = ready()
        finally:
            cursor.execute(
                "UPDATE django_migrations SET app = substr(app, 2) WHERE id = %s", [newest]
            )
    assert status == 503
    assert "migrations are not applied" in answer["engines"]["postgres"]["detail"]


@pytest.mark.django_db
@pytest.mark.parametrize("where", ["nobody", "mute"])
def test_ready_without_the_brokers(settings, request: pytest.FixtureRequest, where: str) -> None:
    address = request.getfixturevalue(where)
    settings.READY_TIMEOUT_SECONDS = MUTE_SECONDS
    settings.KAFKA_BOOTSTRAP_SERVERS = [address]
    settings.AMQP_URL = f"amqp://stockroom:{SECRET}@{address}/%2F"
    settings.KEYDB_URL = f"redis://:{SECRET}@{address}/0"
    status, answer = ready()
    assert (status, answer["status"]) == (200, "ready")
    for name in ("kafka", "rabbitmq", "keydb"):
        engine = answer["engines"][name]
        assert (engine["status"], engine["required"]) == ("degraded", False)
        assert engine["advice"]


@pytest.mark.django_db
def test_ready_with_the_brokers(settings, kafka: Engine, rabbitmq: Engine) -> None:
    settings.KAFKA_BOOTSTRAP_SERVERS = [kafka.variables()["KAFKA_BOOTSTRAP_SERVERS"]]
    settings.AMQP_URL = rabbitmq.variables()["AMQP_URL"]
    engines = ready()[1]["engines"]
    assert (engines["kafka"]["status"], engines["rabbitmq"]["status"]) == ("ok", "ok")


@pytest.mark.django_db
def test_an_absence_is_logged_once(settings, nobody: str, caplog: pytest.LogCaptureFixture) -> None:
    there = settings.REDIS_URL
    for url in (f"redis://{nobody}/0", f"redis://{nobody}/0", there, there):
        settings.REDIS_URL = url
        health._monitor.forget()
        with caplog.at_level("INFO", logger="config.health"):
            health.engines()
    lines = [record.getMessage() for record in caplog.records if "redis" in record.getMessage()]
    assert len(lines) == 2, lines
    assert "away" in lines[0]
    assert "back" in lines[1]


def test_a_result_is_kept_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[str] = []
    check = health._Check("engine", True, "VARIABLE", lambda timeout: runs.append("run"))
    monkeypatch.setattr(health, "_checks", lambda: [check])
    threads = [threading.Thread(target=health.engines) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert runs == ["run"]


def test_a_check_that_hangs_is_not_started_twice(settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.READY_TIMEOUT_SECONDS = 0.05
    let_go, runs = threading.Event(), []

    def hang(timeout: float) -> None:
        runs.append("run")
        let_go.wait(10)

    monkeypatch.setattr(
        health, "_checks", lambda: [health._Check("hanging", True, "VARIABLE", hang)]
    )
    for _ in range(3):
        health._monitor.forget()
        (engine,) = health.engines()
        assert (engine.status, engine.detail) == ("down", "no answer within 0.05 s")
    let_go.set()
    assert runs == ["run"]


def test_a_process_whose_pages_all_hang_is_alive(site: Site) -> None:
    """Restarting it would not bring the database back."""
    import psycopg2

    environment = {**site.environment, "WEB_THREADS": "2"}
    with Server(environment=environment) as server:
        holder = psycopg2.connect(site.database_url)
        holder.cursor().execute("LOCK TABLE accounts_user, django_session")
        pages = [
            threading.Thread(
                target=requests.get,
                args=[f"{server.url}/account/"],
                kwargs={"headers": {"Cookie": site.cookie}, "timeout": 240},
            )
            for _ in range(4)
        ]
        for page in pages:
            page.start()
        until(lambda: site.connections() >= 3, "pages wait for the lock")
        for path in ("/healthz", "/readyz"):
            headers = {"Cookie": site.cookie}  # a person looks, not a load balancer
            assert requests.get(f"{server.url}{path}", headers=headers, timeout=60).ok
        assert all(page.is_alive() for page in pages)
        holder.close()
        for page in pages:
            page.join()
