"""Whether this process lives (/healthz) and each engine answers (/readyz, operations page).

Both views answer without a login, so no text here comes from an exception: those name hosts and
users.
"""

import logging
import math
import socket
import struct
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import pika
import psycopg2
import redis
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import connections
from django.db.migrations.loader import MigrationLoader
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from pika.exceptions import AMQPError, ProbableAccessDeniedError, ProbableAuthenticationError
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.retry import Retry

from config.version import version
from streaming.kafka_log import tls

logger = logging.getLogger(__name__)

KEPT_SECONDS = 1.0  # a result is given again for so long: probes can't be used to load engines
MAX_ENGINES = 8
# An ApiVersions request, version 0: what a Kafka broker answers before any authentication.
KAFKA_REQUEST = struct.pack(">hhih", 18, 0, 1, -1)


@dataclass(frozen=True)
class EngineHealth:
    """What one engine answered. Safe to show to anybody."""

    name: str
    status: str
    """`ok`, `down` (required, so this process is not ready) or `degraded` (all else works)."""
    required: bool
    detail: str = ""
    """Why it is not ok."""
    advice: str = ""
    """What to do about it."""
    milliseconds: float | None = None


class EngineAway(Exception):
    """A check's own finding; its text may be shown."""


@dataclass(frozen=True)
class _Check:
    name: str
    required: bool
    variable: str
    """The environment variable that leads to it."""
    probe: Callable[[float], None]
    """Returns when the engine answers within this many seconds, else raises."""


@login_not_required
@never_cache
def alive(request: HttpRequest) -> JsonResponse:
    """GET /healthz: 200 as long as the process answers at all. No input or output."""
    return JsonResponse({"status": "ok", "version": version()})


@login_not_required
@never_cache
def ready(request: HttpRequest) -> JsonResponse:
    """GET /readyz: 200 when all required engines answer, else 503; each engine by name."""
    found = engines()
    is_ready = all(engine.status != "down" for engine in found)
    return JsonResponse(
        {
            "status": "ready" if is_ready else "not ready",
            "version": version(),
            "engines": {engine.name: _shown(engine) for engine in found},
        },
        status=200 if is_ready else 503,
    )


def _shown(engine: EngineHealth) -> dict[str, Any]:
    fields = asdict(engine)
    del fields["name"]
    return {key: value for key, value in fields.items() if value not in ("", None)}


def engines() -> list[EngineHealth]:
    """Health of every configured engine, at most KEPT_SECONDS old, in a fixed order.

    Checked in parallel; returns within READY_TIMEOUT_SECONDS whatever hangs.
    """
    return _monitor.engines()


class _Monitor:
    """Runs the checks of this process, each engine's at most once at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(MAX_ENGINES, thread_name_prefix="health")
        self._running: dict[str, Future[float]] = {}
        self._result: list[EngineHealth] = []
        self._away: set[str] = set()
        self._at = float("-inf")

    def engines(self) -> list[EngineHealth]:
        with self._lock:
            if time.monotonic() - self._at > KEPT_SECONDS:
                self._result = self._run(_checks())
                self._at = time.monotonic()
            return self._result

    def forget(self) -> None:
        """Make the next call check anew."""
        self._at = float("-inf")

    def _run(self, checks: list[_Check]) -> list[EngineHealth]:
        timeout = settings.READY_TIMEOUT_SECONDS
        for check in checks:
            before = self._running.get(check.name)
            # One that still hangs (in name resolution, say) is not joined by a second.
            if before is None or before.done():
                self._running[check.name] = self._threads.submit(_timed, check.probe, timeout)
        wait([self._running[check.name] for check in checks], timeout)
        return [self._noted(check, self._running[check.name]) for check in checks]

    def _noted(self, check: _Check, future: Future[float]) -> EngineHealth:
        """The outcome, logged when it is another than before."""
        found = _outcome(check, future)
        if found.status != "ok" and check.name not in self._away:
            self._away.add(check.name)
            cause = type(future.exception()).__name__ if future.done() else "TimeoutError"
            logger.warning("%s is away: %s (%s)", check.name, found.detail, cause)
        elif found.status == "ok" and check.name in self._away:
            self._away.discard(check.name)
            logger.info("%s is back", check.name)
        return found


def _timed(probe: Callable[[float], None], timeout: float) -> float:
    began = time.perf_counter()
    probe(timeout)
    return round((time.perf_counter() - began) * 1000, 1)


def _outcome(check: _Check, future: Future[float]) -> EngineHealth:
    if not future.done():
        return _away(check, f"no answer within {settings.READY_TIMEOUT_SECONDS:g} s")
    error = future.exception()
    if error is None:
        return EngineHealth(check.name, "ok", check.required, milliseconds=future.result())
    return _away(check, _reason(error))


def _away(check: _Check, reason: str) -> EngineHealth:
    advice = f"Start it, or correct {check.variable}."
    if check.required:
        return EngineHealth(check.name, "down", True, reason, advice)
    advice += " What needs it waits until then and goes on by itself."
    return EngineHealth(check.name, "degraded", False, reason, advice)


def _reason(error: BaseException) -> str:
    match error:
        case EngineAway():
            return str(error)
        case AuthenticationError() | ProbableAuthenticationError() | ProbableAccessDeniedError():
            return "it refuses our user or password"
        case psycopg2.OperationalError() if "authentication" in str(error):
            return "it refuses our user or password"
        case psycopg2.OperationalError() if "timeout" in str(error):
            return "no answer in time"
        case TimeoutError() | redis.TimeoutError():
            return "no answer in time"
        case OSError() | psycopg2.OperationalError() | RedisError() | AMQPError():
            return "it can't be reached"
    return f"the check failed ({type(error).__name__})"


def _checks() -> list[_Check]:
    """One check per engine in use; an address that two variables share is asked once."""
    checks = [
        _Check("postgres", True, "DATABASE_URL", _postgres),
        _Check("redis", True, "REDIS_URL", lambda timeout: _redis(settings.REDIS_URL, timeout)),
    ]
    asked = {_server(settings.REDIS_URL)}
    for name, variable in (("prices-redis", "PRICES_REDIS_URL"), ("keydb", "KEYDB_URL")):
        url: str = getattr(settings, variable)
        if _server(url) not in asked:
            asked.add(_server(url))
            checks.append(
                _Check(name, False, variable, lambda timeout, url=url: _redis(url, timeout))
            )
    if settings.KAFKA_BOOTSTRAP_SERVERS:
        checks.append(_Check("kafka", False, "KAFKA_BOOTSTRAP_SERVERS", _kafka))
    if settings.AMQP_URL:
        checks.append(_Check("rabbitmq", False, "AMQP_URL", _rabbitmq))
    return checks


def _server(redis_url: str) -> str:
    """A Redis URL without the number of its database."""
    parts = urlsplit(redis_url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else redis_url.partition("?")[0]


def _postgres(timeout: float) -> None:
    # A connection of its own: the threads' kept ones may be healthy while no new one is taken.
    parameters = connections["default"].get_connection_params()
    parameters["connect_timeout"] = max(2, math.ceil(timeout))  # libpq's least
    connection = psycopg2.connect(**parameters)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = %s", [int(timeout * 1000)])
            cursor.execute("SELECT app, name FROM django_migrations")
            missing = _migrations() - set(cursor.fetchall())
    except psycopg2.errors.UndefinedTable:
        missing = _migrations()
    finally:
        connection.close()
    if missing:
        raise EngineAway(f"{len(missing)} migrations are not applied: run manage.py migrate")


@cache
def _migrations() -> frozenset[tuple[str, str]]:
    """(app, name) of every migration of this code; 40 ms once."""
    return frozenset(MigrationLoader(None).disk_migrations)


def _redis(url: str, timeout: float) -> None:
    client = redis.Redis.from_url(
        url,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
    )
    with client:
        client.ping()


def _kafka(timeout: float) -> None:
    """One of the brokers answers. A connection alone proves nothing: the kernel takes it."""
    deadline = time.monotonic() + timeout
    failure: OSError = TimeoutError()
    encryption = tls.context()
    for server in settings.KAFKA_BOOTSTRAP_SERVERS:
        address, _, port = server.rpartition(":")
        host = address.strip("[]")
        try:
            left = max(0.1, deadline - time.monotonic())
            broker = socket.create_connection((host, int(port)), timeout=left)
            if encryption is not None:
                broker = encryption.wrap_socket(broker, server_hostname=host)
            with broker:
                broker.sendall(struct.pack(">i", len(KAFKA_REQUEST)) + KAFKA_REQUEST)
                if broker.recv(8):
                    return
                failure = ConnectionError()
        except OSError as error:
            failure = error
    raise failure


def _rabbitmq(timeout: float) -> None:
    parameters = pika.URLParameters(settings.AMQP_URL)
    parameters.connection_attempts = 1
    parameters.socket_timeout = parameters.stack_timeout = timeout
    parameters.blocked_connection_timeout = timeout
    pika.BlockingConnection(parameters).close()


_monitor = _Monitor()
