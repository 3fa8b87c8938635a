"""All settings of Stockroom, each from one typed environment variable.

Read in this order, the first that names a variable wins: the environment,
`.env` in the project's folder, `var/run.env` (written by a running `make run`,
so that `manage.py` in another terminal finds its engines). A value of the wrong
type or out of range stops the start with the variable's name. `.env.example` documents all.
"""

import re
import sys
from collections.abc import Callable
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from zoneinfo import ZoneInfo

import dj_database_url
from celery.schedules import crontab
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from environs import Env, EnvError, ValidationError, validate
from redis.backoff import NoBackoff
from redis.connection import parse_url as parse_redis_url
from redis.retry import Retry

from config.logs.role import role

BASE_DIR = Path(__file__).resolve().parent.parent
DAY_SECONDS = 86_400
MIB = 1024**2
Range = validate.Range

env = Env()
env.read_env(BASE_DIR / ".env", recurse=False)
STATE_DIR = BASE_DIR / (env.str("STOCKROOM_VAR", "") or "var")
env.read_env(STATE_DIR / "run.env", recurse=False)


def url(name: str, default: str | None = None, *, schemes: tuple[str, ...]) -> str | None:
    """The URL in variable `name`, or `default`; EnvError when its scheme is another."""
    value = env.str(name, default)
    if value and value.split(":", 1)[0] not in schemes:
        raise EnvError(f'Environment variable "{name}" must start with one of: {schemes}')
    return value or None


def known_zone(name: str) -> None:
    """Raise ValidationError when there is no time zone `name`."""
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # a folder of zones is an OSError
        raise ValidationError(f"There is no time zone {name!r}.") from None


def secret_text(text: str) -> None:
    """Raise ValidationError for a secret that somebody could guess; none is none."""
    if text and not re.fullmatch(r"[!-~]{32,}", text):
        raise ValidationError("It has at least 32 characters: letters, digits and signs.")


def topic_name(name: str) -> None:
    """Raise ValidationError for what Kafka takes as the name of no topic or group."""
    if name in ("", ".", "..") or not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", name):
        raise ValidationError(f"{name!r} is no name of a topic.")


def broker_urls(addresses: list[str]) -> None:
    """Raise ValidationError for what is no URL of a Kafka broker."""
    for address in addresses:
        if not re.fullmatch(r"kafka(\+ssl)?://[^/@]+:[0-9]{1,5}", address):
            raise ValidationError("It is no list of kafka:// or kafka+ssl:// addresses.")


def networks(name: str) -> list[IPv4Network | IPv6Network]:
    """The networks in variable `name`, e.g. 10.1.0.0/16; EnvError for what is none."""
    try:
        return [ip_network(each) for each in env.list(name, [])]
    except ValueError as error:
        raise EnvError(f'Environment variable "{name}" invalid: {error}') from None


def each(rule: Callable[[float], object]) -> Callable[[list[float]], None]:
    """The rule that `rule` holds for each entry of a list."""

    def check(values: list[float]) -> None:
        for value in values:
            rule(value)

    return check


try:
    # Security
    SECRET_KEY = env.str("SECRET_KEY", validate=validate.Length(min=50))
    DEBUG = env.bool("DEBUG", False)
    SECURE = env.bool("SECURE", True)
    ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", ["localhost", "127.0.0.1"])
    CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", [])
    METRICS_TOKEN = env.str("METRICS_TOKEN", "", validate=secret_text)
    TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", 0, validate=Range(0, 10))

    # Engines
    DATABASE_URL = url("DATABASE_URL", schemes=("postgres", "postgresql"))
    DATABASE_CONN_MAX_AGE_SECONDS = env.int(
        "DATABASE_CONN_MAX_AGE_SECONDS", 600, validate=Range(0, DAY_SECONDS)
    )
    REDIS_URL = url("REDIS_URL", schemes=("redis", "rediss"))
    PRICES_REDIS_URL = url("PRICES_REDIS_URL", REDIS_URL, schemes=("redis", "rediss"))
    KEYDB_URL = url("KEYDB_URL", REDIS_URL, schemes=("redis", "rediss"))
    KAFKA_URL = env.list("KAFKA_URL", [], validate=broker_urls)  # Heroku's way to say it
    KAFKA_BOOTSTRAP_SERVERS = env.list("KAFKA_BOOTSTRAP_SERVERS", [])
    if KAFKA_BOOTSTRAP_SERVERS:
        KAFKA_URL = []
    KAFKA_BOOTSTRAP_SERVERS += [each_url.partition("://")[2] for each_url in KAFKA_URL]
    KAFKA_SECURITY_PROTOCOL = env.str(
        "KAFKA_SECURITY_PROTOCOL",
        "SSL" if any(each_url.startswith("kafka+ssl:") for each_url in KAFKA_URL) else "PLAINTEXT",
        validate=validate.OneOf(["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]),
    )
    KAFKA_SASL_MECHANISM = env.str(
        "KAFKA_SASL_MECHANISM",
        "SCRAM-SHA-512",
        validate=validate.OneOf(["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]),
    )
    KAFKA_SASL_USERNAME = env.str("KAFKA_SASL_USERNAME", "")
    KAFKA_SASL_PASSWORD = env.str("KAFKA_SASL_PASSWORD", "")
    if KAFKA_SECURITY_PROTOCOL.startswith("SASL") and not KAFKA_SASL_USERNAME:
        raise EnvError(
            'Environment variable "KAFKA_SASL_USERNAME" is not set, but'
            f" KAFKA_SECURITY_PROTOCOL={KAFKA_SECURITY_PROTOCOL} needs it"
        )
    KAFKA_CA_FILE = env.str("KAFKA_CA_FILE", "")
    KAFKA_TRUSTED_CERT = env.str("KAFKA_TRUSTED_CERT", "")
    KAFKA_CLIENT_CERT = env.str("KAFKA_CLIENT_CERT", "")
    KAFKA_CLIENT_CERT_KEY = env.str("KAFKA_CLIENT_CERT_KEY", "")
    KAFKA_PREFIX = env.str("KAFKA_PREFIX", "", validate=validate.Regexp(r"[A-Za-z0-9._-]{0,100}\Z"))
    AMQP_URL = url("AMQP_URL", "", schemes=("amqp", "amqps"))

    # Processes
    WEB_THREADS = env.int("WEB_THREADS", 8, validate=Range(1, 256))
    UPLOAD_THREADS = env.int("UPLOAD_THREADS", 4, validate=Range(1, 256))
    DOWNLOAD_THREADS = env.int("DOWNLOAD_THREADS", 4, validate=Range(1, 256))
    REQUEST_HEAD_SECONDS = env.float("REQUEST_HEAD_SECONDS", 10.0, validate=Range(0.1, DAY_SECONDS))
    REQUEST_BODY_SECONDS = env.float("REQUEST_BODY_SECONDS", 30.0, validate=Range(0.1, DAY_SECONDS))
    DOWNLOAD_IDLE_SECONDS = env.float(
        "DOWNLOAD_IDLE_SECONDS", 30.0, validate=Range(0.1, DAY_SECONDS)
    )
    LOG_LEVEL = env.str("LOG_LEVEL", "INFO", validate=validate.OneOf(["DEBUG", "INFO", "WARNING"]))
    LOG_FORMAT = env.str("LOG_FORMAT", "line", validate=validate.OneOf(["line", "json"]))
    TIME_ZONE = env.str("TIME_ZONE", "UTC", validate=known_zone)
    CONSUMERS = env.list("CONSUMERS", [])
    CONSUMER_CLASSES = {  # name: dotted path of the class; the variable adds to these
        "deliveries": "webhooks.engine.deliverer.Deliverer",
        "sales": "streaming.sales.consumer.SalesConsumer",
        "prices": "streaming.prices.consumer.PricesConsumer",
        "ledger": "transactions.ledger.engine.consumer.LedgerConsumer",
        "orders": "transactions.orders.engine.consumer.OrdersConsumer",
        **env.dict("CONSUMER_CLASSES", {}),
    }
    CONSUMER_HEALTH_SECONDS = env.float(
        "CONSUMER_HEALTH_SECONDS", 5.0, validate=Range(0.1, DAY_SECONDS)
    )
    CONSUMER_DRAIN_SECONDS = env.float(
        "CONSUMER_DRAIN_SECONDS", 25.0, validate=Range(0, DAY_SECONDS)
    )
    READY_TIMEOUT_SECONDS = env.float("READY_TIMEOUT_SECONDS", 2.0, validate=Range(0.01, 60))

    # Imports
    UPLOAD_MAX_BYTES = env.int("UPLOAD_MAX_BYTES", 2 * 1024 * MIB, validate=Range(1, 1024**2 * MIB))
    UPLOAD_BLOCK_BYTES = env.int("UPLOAD_BLOCK_BYTES", MIB, validate=Range(1024, 64 * MIB))
    UPLOAD_CHECKED_MAX_BYTES = env.int(
        "UPLOAD_CHECKED_MAX_BYTES", 16 * MIB, validate=Range(1, 1024 * MIB)
    )
    UPLOAD_KEEP_HOURS = env.float("UPLOAD_KEEP_HOURS", 24.0, validate=Range(0.01, 87_600))
    # At least a block: an import starts on what a block has brought, and by parts.
    IMPORT_PART_BYTES = env.int(
        "IMPORT_PART_BYTES",
        max(4 * MIB, UPLOAD_BLOCK_BYTES),
        validate=Range(UPLOAD_BLOCK_BYTES, 256 * MIB),
    )
    IMPORT_BATCH_LINES = env.int("IMPORT_BATCH_LINES", 10_000, validate=Range(1, 1_000_000))
    # Well below the tasks' time limit.
    IMPORT_STEP_SECONDS = env.float("IMPORT_STEP_SECONDS", 5.0, validate=Range(0, 60))
    IMPORT_STALE_SECONDS = env.float("IMPORT_STALE_SECONDS", 15.0, validate=Range(1, DAY_SECONDS))
    IMPORT_MAX_STALLS = env.int("IMPORT_MAX_STALLS", 5, validate=Range(1, 1000))
    IMPORT_MAX_REJECTS = env.int("IMPORT_MAX_REJECTS", 1_000_000, validate=Range(1, 1_000_000_000))
    IMPORT_SWEEP_SECONDS = env.float("IMPORT_SWEEP_SECONDS", 5.0, validate=Range(0.1, DAY_SECONDS))
    REJECT_KEEP_DAYS = env.float("REJECT_KEEP_DAYS", 30.0, validate=Range(0, 3650))
    UPLOAD_IDLE_SECONDS = env.float("UPLOAD_IDLE_SECONDS", 30.0, validate=Range(0.1, DAY_SECONDS))

    # Catalogue
    SEARCH_TIMEOUT_MS = env.int("SEARCH_TIMEOUT_MS", 1000, validate=Range(10, 60_000))
    BULK_AT_ONCE = env.int("BULK_AT_ONCE", 500, validate=Range(0, 10_000))
    BULK_BATCH_ROWS = env.int("BULK_BATCH_ROWS", 1_000, validate=Range(1, 100_000))
    UNDO_HOURS = env.float("UNDO_HOURS", 24.0, validate=Range(0.001, 8760))
    HISTORY_KEEP_DAYS = env.float("HISTORY_KEEP_DAYS", 365.0, validate=Range(0, 36_500))

    # API
    API_REQUESTS_PER_MINUTE = env.int(
        "API_REQUESTS_PER_MINUTE", 1_200, validate=Range(1, 1_000_000)
    )
    IDEMPOTENCY_KEEP_HOURS = env.float("IDEMPOTENCY_KEEP_HOURS", 24.0, validate=Range(0.001, 8760))

    # Webhooks
    EVENT_KEEP_DAYS = env.float("EVENT_KEEP_DAYS", 30.0, validate=Range(0.001, 3650))
    WEBHOOK_ALLOW_HTTP = env.bool("WEBHOOK_ALLOW_HTTP", False)
    WEBHOOK_PORTS = env.list(  # empty: any
        "WEBHOOK_PORTS", [443, 8443], subcast=int, validate=each(Range(1, 65_535))
    )
    WEBHOOK_ALLOWED_NETWORKS = networks("WEBHOOK_ALLOWED_NETWORKS")
    WEBHOOK_TIMEOUT_SECONDS = env.float("WEBHOOK_TIMEOUT_SECONDS", 15.0, validate=Range(0.1, 60))
    # Above the time-out by what a busy worker needs until it has written down how it went.
    WEBHOOK_LEASE_SECONDS = env.float(
        "WEBHOOK_LEASE_SECONDS",
        WEBHOOK_TIMEOUT_SECONDS + 15.0,
        validate=Range(WEBHOOK_TIMEOUT_SECONDS + 1.0, 3600),
    )
    WEBHOOK_POLL_SECONDS = env.float("WEBHOOK_POLL_SECONDS", 1.0, validate=Range(0.05, 60))
    WEBHOOK_IN_FLIGHT = env.int("WEBHOOK_IN_FLIGHT", 200, validate=Range(2, 10_000))
    WEBHOOK_IN_FLIGHT_PER_ENDPOINT = env.int(
        "WEBHOOK_IN_FLIGHT_PER_ENDPOINT", 10, validate=Range(1, 1000)
    )
    WEBHOOK_CALLBACKS_IN_FLIGHT = env.int(  # to one host of one account
        "WEBHOOK_CALLBACKS_IN_FLIGHT", 64, validate=Range(1, 1000)
    )
    WEBHOOK_RETRY_SECONDS = env.list(  # after the first attempt, after the second, …
        "WEBHOOK_RETRY_SECONDS",
        [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400],
        subcast=float,
        validate=validate.And(validate.Length(1, 50), each(Range(0, 30 * DAY_SECONDS))),
    )
    WEBHOOK_BREAK_AFTER = env.int("WEBHOOK_BREAK_AFTER", 5, validate=Range(1, 1000))
    WEBHOOK_BREAK_SECONDS = env.float("WEBHOOK_BREAK_SECONDS", 30.0, validate=Range(0.1, 3600))
    WEBHOOK_DISABLE_AFTER_HOURS = env.float(
        "WEBHOOK_DISABLE_AFTER_HOURS", 120.0, validate=Range(0.001, 8760)
    )
    WEBHOOK_RESPONSE_BYTES = env.int("WEBHOOK_RESPONSE_BYTES", 4096, validate=Range(0, MIB))
    WEBHOOK_ROTATION_HOURS = env.float("WEBHOOK_ROTATION_HOURS", 24.0, validate=Range(0, 8760))

    # Stock sync
    STOCKSYNC_MAX_BYTES = env.int(
        "STOCKSYNC_MAX_BYTES", 1024 * MIB, validate=Range(1, 1024**2 * MIB)
    )
    STOCKSYNC_OUTPUT_MAX_BYTES = env.int(
        "STOCKSYNC_OUTPUT_MAX_BYTES", 4096 * MIB, validate=Range(1, 1024**2 * MIB)
    )
    STOCKSYNC_TRACE_EVENTS = env.int(
        "STOCKSYNC_TRACE_EVENTS", 2_000_000, validate=Range(0, 1_000_000_000)
    )
    STOCKSYNC_STEP_BYTES = env.int("STOCKSYNC_STEP_BYTES", MIB, validate=Range(1, 64 * MIB))
    STOCKSYNC_KEEP_DAYS = env.float("STOCKSYNC_KEEP_DAYS", 30.0, validate=Range(0.001, 3650))

    # Sales
    SALES_INPUT_TOPIC = KAFKA_PREFIX + env.str("SALES_INPUT_TOPIC", "data", validate=topic_name)
    SALES_OUTPUT_TOPIC = KAFKA_PREFIX + env.str("SALES_OUTPUT_TOPIC", "agg", validate=topic_name)
    SALES_DEAD_LETTER_TOPIC = KAFKA_PREFIX + env.str(
        "SALES_DEAD_LETTER_TOPIC", "data.dlq", validate=topic_name
    )
    SALES_GROUP = KAFKA_PREFIX + env.str("SALES_GROUP", "sales", validate=topic_name)
    SALES_INSTANCE = env.str(
        "SALES_INSTANCE", "", validate=validate.Regexp(r"[A-Za-z0-9._-]{0,100}\Z")
    )
    SALES_STATIC_MEMBERSHIP = env.bool("SALES_STATIC_MEMBERSHIP", False)
    SALES_PARTITIONS = env.int("SALES_PARTITIONS", 4, validate=Range(1, 10_000))
    SALES_WINDOW_SECONDS = env.float("SALES_WINDOW_SECONDS", 600.0, validate=Range(1, DAY_SECONDS))
    SALES_LATENESS_SECONDS = env.float(
        "SALES_LATENESS_SECONDS", 600.0, validate=Range(0, DAY_SECONDS)
    )
    # Below the lateness: a clock that is wrong by less can't make the right ones late.
    SALES_MAX_SKEW_SECONDS = env.float(
        "SALES_MAX_SKEW_SECONDS", 300.0, validate=Range(0, DAY_SECONDS)
    )
    SALES_ACCEPT_KEYS = env.bool("SALES_ACCEPT_KEYS", False)
    SALES_SESSION_TIMEOUT_MS = env.int(
        "SALES_SESSION_TIMEOUT_MS", 10_000, validate=Range(1_000, 1_800_000)
    )
    SALES_BATCH = env.int("SALES_BATCH", 2_000, validate=Range(1, 100_000))
    SALES_SNAPSHOT_SECONDS = env.float("SALES_SNAPSHOT_SECONDS", 1.0, validate=Range(0.1, 3600))

    # Prices
    PRICES_TOPIC = KAFKA_PREFIX + env.str("PRICES_TOPIC", "main_topic", validate=topic_name)
    PRICES_GROUP = KAFKA_PREFIX + env.str("PRICES_GROUP", "prices", validate=topic_name)
    # One, as the specification has it: rows are in one order over all stocks.
    PRICES_PARTITIONS = env.int("PRICES_PARTITIONS", 1, validate=Range(1, 10_000))
    PRICES_SESSION_TIMEOUT_MS = env.int(
        "PRICES_SESSION_TIMEOUT_MS", 10_000, validate=Range(1_000, 1_800_000)
    )
    PRICES_BATCH = env.int("PRICES_BATCH", 2_000, validate=Range(1, 100_000))
    PRICES_SNAPSHOT_SECONDS = env.float("PRICES_SNAPSHOT_SECONDS", 1.0, validate=Range(0.1, 3600))
    PRICES_HISTORY_KEPT = env.int("PRICES_HISTORY_KEPT", 0, validate=Range(0, 1_000_000_000))
    PRICES_DEAD_LETTERS_KEPT = env.int(
        "PRICES_DEAD_LETTERS_KEPT", 10_000, validate=Range(1, 10_000_000)
    )
    PRICES_PERFORMANCE = env.str(
        "PRICES_PERFORMANCE", "streaming.prices.performance.calculate_performance"
    )
    PRICES_PERFORMANCE_PROCESSES = env.int(
        "PRICES_PERFORMANCE_PROCESSES", 8, validate=Range(1, 1000)
    )
    PRICES_PERFORMANCE_SECONDS = env.float(
        "PRICES_PERFORMANCE_SECONDS", 10.0, validate=Range(1, 45)
    )

    # Ledger
    LEDGER_DATABASE_URL = url(
        "LEDGER_DATABASE_URL", DATABASE_URL, schemes=("postgres", "postgresql")
    )
    LEDGER_QUEUE = env.str("LEDGER_QUEUE", "incoming_transactions")
    LEDGER_BATCH = env.int("LEDGER_BATCH", 1_000, validate=Range(1, 10_000))
    LEDGER_KEEP_DAYS = env.float("LEDGER_KEEP_DAYS", 7.0, validate=Range(0.1, 3650))

    # Orders
    ORDERS_QUEUE = env.str("ORDERS_QUEUE", "orders")
    # At least a day: who asks for the outcome of an order has to find it.
    ORDER_KEEP_DAYS = env.float("ORDER_KEEP_DAYS", 365.0, validate=Range(1, 36_500))
    ORDERS_IN_FLIGHT = env.int("ORDERS_IN_FLIGHT", 5_000, validate=Range(1, 65_535))
    ORDERS_MOST_OPEN = env.int("ORDERS_MOST_OPEN", 20_000, validate=Range(1, 10_000_000))
    ORDERS_STALE_SECONDS = env.float("ORDERS_STALE_SECONDS", 4.0, validate=Range(2, 600))
    ORDERS_SWEEP_SECONDS = env.float("ORDERS_SWEEP_SECONDS", 5.0, validate=Range(0.1, 600))
    VERIFIER_MIN_SECONDS = env.float("VERIFIER_MIN_SECONDS", 1.0, validate=Range(0, DAY_SECONDS))
    VERIFIER_MAX_SECONDS = env.float("VERIFIER_MAX_SECONDS", 100.0, validate=Range(0, DAY_SECONDS))
    if VERIFIER_MAX_SECONDS < VERIFIER_MIN_SECONDS:
        raise EnvError('Environment variable "VERIFIER_MAX_SECONDS" is below VERIFIER_MIN_SECONDS')
    VERIFIER_TIMEOUT_SECONDS = env.float(
        "VERIFIER_TIMEOUT_SECONDS", 60.0, validate=Range(0.01, 3600)
    )
    VERIFIER_URL = url("VERIFIER_URL", "", schemes=("http", "https"))
    VERIFIER_TOKEN = env.str("VERIFIER_TOKEN", "")

    # Operations
    OPERATIONS_SAMPLE_SECONDS = env.float(
        "OPERATIONS_SAMPLE_SECONDS", 10.0, validate=Range(0.5, 600)
    )
    OPERATIONS_STALLED_SECONDS = env.float(
        "OPERATIONS_STALLED_SECONDS", 60.0, validate=Range(1, DAY_SECONDS)
    )
    # What is a problem: config/operations/limits.py
    OPERATIONS_MAX_LAG = env.int("OPERATIONS_MAX_LAG", 10_000, validate=Range(1, 1_000_000_000))
    OPERATIONS_MAX_QUEUE_AGE_SECONDS = env.float(
        "OPERATIONS_MAX_QUEUE_AGE_SECONDS", 60.0, validate=Range(1, DAY_SECONDS)
    )
    OPERATIONS_MAX_DELIVERY_AGE_SECONDS = env.float(
        "OPERATIONS_MAX_DELIVERY_AGE_SECONDS", 300.0, validate=Range(1, DAY_SECONDS)
    )
    OPERATIONS_MAX_REJECTS_PER_HOUR = env.int(
        "OPERATIONS_MAX_REJECTS_PER_HOUR", 1000, validate=Range(0, 1_000_000_000)
    )
    OPERATIONS_MAX_LATENESS_SECONDS = env.float(
        "OPERATIONS_MAX_LATENESS_SECONDS", 5.0, validate=Range(0, DAY_SECONDS)
    )

    # Alerts
    OPERATIONS_ALERT_AFTER_SECONDS = env.float(
        "OPERATIONS_ALERT_AFTER_SECONDS", 30.0, validate=Range(0, DAY_SECONDS)
    )
    ALERT_KEEP_DAYS = env.float("ALERT_KEEP_DAYS", 90.0, validate=Range(0, 3650))

    # Migrations (config/management/commands/migrate.py)
    MIGRATE_LOCK_SECONDS = env.int("MIGRATE_LOCK_SECONDS", 5, validate=Range(1, 3600))
    MIGRATE_LOCK_TRIES = env.int("MIGRATE_LOCK_TRIES", 10, validate=Range(1, 1000))

    # Checks. Well below the tasks' time limit, and short: imports need the same workers.
    CHECK_SECONDS = env.float("CHECK_SECONDS", 45.0, validate=Range(1, 90))
    CHECK_KEEP_DAYS = env.float("CHECK_KEEP_DAYS", 90.0, validate=Range(0, 3650))

    # Live pages
    LIVE_EVENTS_PER_SECOND = env.float("LIVE_EVENTS_PER_SECOND", 4.0, validate=Range(0.01, 1000))
    LIVE_KEEP_ALIVE_SECONDS = env.float(
        "LIVE_KEEP_ALIVE_SECONDS", 15.0, validate=Range(0.1, DAY_SECONDS)
    )
    LIVE_STREAM_SECONDS = env.float("LIVE_STREAM_SECONDS", 900.0, validate=Range(0.1, DAY_SECONDS))
    LIVE_PING_SECONDS = env.float("LIVE_PING_SECONDS", 2.0, validate=Range(0.1, DAY_SECONDS))
    LIVE_OUTAGE_SECONDS = env.float("LIVE_OUTAGE_SECONDS", 2.0, validate=Range(0, DAY_SECONDS))
except EnvError as error:
    raise ImproperlyConfigured(f"{error} (see .env.example)") from None

for name in ("DATABASE_URL", "REDIS_URL"):
    if globals()[name] is None:
        raise ImproperlyConfigured(
            f'Environment variable "{name}" is not set. `make run` starts the engines and sets it;'
            " see .env.example to give your own."
        )

# Applications
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_eventstream",
    "django_htmx",
    "csp",
    "config",
    "config.accounts",
    "config.idempotency",
    "config.operations",
    "config.checks",
    "products",
    "webhooks",
    "stocksync",
    "streaming",
    "transactions",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.caching.NotKeptMiddleware",
    "config.accounts.rate_limit.RateHeaders",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "config.accounts.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
ASGI_APPLICATION = "config.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "config.navigation.navigation",
            ],
        },
    },
]

# Database. Web threads and workers keep their connection; a health check before
# the first query of a request replaces one that a database restart has cut (config/database).
DATABASES = {
    "default": dj_database_url.parse(
        DATABASE_URL,
        engine="config.database",
        conn_max_age=DATABASE_CONN_MAX_AGE_SECONDS,
        conn_health_checks=True,
    )
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Cache: counters and short-lived answers, in the same engine as the broker. Callers do
# without it while it is away, so finding that out is quick.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {
            "socket_connect_timeout": 1.0,
            "socket_timeout": 1.0,
            "retry": Retry(NoBackoff(), 1),  # once: an idle connection may have been closed
        },
    }
}

# Accounts
AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "products:list"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{validator}"}
    for validator in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# Cookies and transport. SECURE=0 is for plain http on this machine only.
SESSION_ENGINE = "config.accounts.sessions"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
CSRF_FAILURE_VIEW = "config.pages.csrf_failure"
SECURE_SSL_REDIRECT = SECURE
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE
X_FRAME_OPTIONS = "DENY"
# Everything comes from this host and nothing is inline: the policy proves it.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

# Uploads come through their own protocol in blocks; form bodies stay small.
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024**2

# Static files
STATIC_URL = "/static/"
STATIC_ROOT = STATE_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "templates" / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# Time and language
USE_TZ = True
USE_I18N = False
LANGUAGE_CODE = "en"
USE_THOUSAND_SEPARATOR = True

# REST API
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "config.accounts.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["config.accounts.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["config.json_bodies.JSONParser"],
    "DEFAULT_THROTTLE_CLASSES": ["config.accounts.rate_limit.TokenRate"],
    "DEFAULT_SCHEMA_CLASS": "config.api_schema.Schema",
    "EXCEPTION_HANDLER": "config.api_errors.exception_handler",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Stockroom API",
    "VERSION": "1",
    "DESCRIPTION": (BASE_DIR / "config" / "api_introduction.md").read_text(),
    "DEFAULT_GENERATOR_CLASS": "config.api_schema.Generator",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "config.api_schema.finish",
    ],
    "ENUM_NAME_OVERRIDES": {
        "BulkAction": "products.models.BulkAction",
        "JobState": "stocksync.models.SyncState",  # and that of bulk changes
        "ImportState": "products.models.ImportState",
        "CheckState": "config.checks.models.CheckState",
        "Clock": "stocksync.models.Clock",
        "DeliveryState": "webhooks.models.DeliveryState",
        "AttemptState": "webhooks.models.AttemptState",
    },
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# Live pages: django-eventstream, fanned out by Redis, nothing stored. Short
# socket time-outs, since losing an event is harmless and waiting for one is not.
EVENTSTREAM_REDIS = {
    **{k: v for k, v in parse_redis_url(REDIS_URL).items() if k != "connection_class"},
    "ssl": REDIS_URL.startswith("rediss:"),
    "socket_connect_timeout": 1.0,
    "socket_timeout": 1.0,
    "retry": Retry(NoBackoff(), 1),  # once: a pooled connection may have been closed when idle
}
EVENTSTREAM_CHANNELMANAGER_CLASS = "config.live.ChannelManager"

# Celery
CELERY_BROKER_URL = REDIS_URL
# Celery alone would take any certificate. What the URL says of it (ssl_cert_reqs=none) wins.
CELERY_BROKER_USE_SSL = {"ssl_cert_reqs": "required"} if REDIS_URL.startswith("rediss:") else False
CELERY_TASK_IGNORE_RESULT = True  # progress and outcome are rows that a page shows
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True  # a killed worker's message is delivered again
CELERY_TASK_REJECT_ON_WORKER_LOST = True  # also when only its child was killed
CELERY_WORKER_PREFETCH_MULTIPLIER = 1  # a long step holds no messages behind it
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    "products.tasks.advance_import": {"queue": "imports"},
    "stocksync.tasks.advance_sync": {"queue": "imports"},
    "streaming.prices.tasks.ask": {"queue": "performance"},
    "streaming.prices.tasks.calculate": {"queue": "performance"},
}
CELERY_TASK_CREATE_MISSING_QUEUES = False  # a mistyped queue is an error, not a lost message
# Below visibility_timeout: a message is never run twice at once. Only prefork keeps these two; in
# `-P threads` and `-P solo` nothing ends a task, which must bound itself there.
CELERY_TASK_TIME_LIMIT = 120
CELERY_TASK_SOFT_TIME_LIMIT = 110
# Publishing gives up quickly, since rows and the sweep bring the work back: within 0.1 s on a
# broker that is down, within three socket time-outs = 4.5 s on one that accepts and never answers
# (seen; without the time-out a request that publishes hangs as long as it does). The one repetition
# is for pooled connections, which die with each restart of the broker.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 300,  # seconds until Redis gives back a lost worker's messages
    "socket_connect_timeout": 1.5,
    "socket_timeout": 1.5,  # above the 1 s for which a worker's BRPOP waits in the server
    "socket_keepalive": True,
    "max_retries": 1,
    "interval_max": 0.2,
}
CELERY_TASK_PUBLISH_RETRY_POLICY = {
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.2,
    "interval_max": 0.2,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a worker waits for its broker, however long
CELERY_BROKER_CHANNEL_ERROR_RETRY = True  # also for one that refuses: full, read-only
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False  # steps are claimed by row
# Entries are sweeps that may come early after a restart, and a crontab that can't, so their last
# runs are not kept; the default scheduler would keep them in a file in the working directory.
CELERY_BEAT_SCHEDULER = "celery.beat:Scheduler"
CELERY_BEAT_SCHEDULE = {
    # All that is kept for a time only (config/retention/registry.py).
    "sweep-retention": {
        "task": "config.retention.tasks.sweep",
        "schedule": timedelta(minutes=10),
        "options": {"queue": "default", "expires": 600},
    },
    "run-checks": {
        "task": "config.checks.tasks.run_all",
        "schedule": crontab(hour=3, minute=57),  # in UTC, after both reconciliations
        "options": {"queue": "default", "expires": 3600},
    },
    "sweep-checks": {
        "task": "config.checks.tasks.sweep",
        "schedule": timedelta(seconds=IMPORT_SWEEP_SECONDS),
        "options": {"queue": "default", "expires": 60},
    },
    "sweep-imports": {
        "task": "products.tasks.sweep_imports",
        "schedule": timedelta(seconds=IMPORT_SWEEP_SECONDS),
        "options": {"queue": "default", "expires": 60},
    },
    "sweep-bulk-changes": {
        "task": "products.tasks.sweep_bulk_changes",
        "schedule": timedelta(seconds=IMPORT_SWEEP_SECONDS),
        "options": {"queue": "default", "expires": 60},
    },
    "sweep-syncs": {
        "task": "stocksync.tasks.sweep_syncs",
        "schedule": timedelta(seconds=IMPORT_SWEEP_SECONDS),
        "options": {"queue": "default", "expires": 60},
    },
    "ask-for-performance": {
        "task": "streaming.prices.tasks.ask",
        "schedule": crontab(),  # each full minute
        # Later, calculations could not end within the minute; the next one is near.
        "options": {"queue": "performance", "expires": 60 - PRICES_PERFORMANCE_SECONDS},
    },
    "reconcile-ledger": {
        "task": "transactions.ledger.tasks.reconcile",
        "schedule": crontab(hour=3, minute=17),  # in UTC, away from what others do on the hour
        "options": {"queue": "default", "expires": 3600},
    },
    "reconcile-orders": {
        "task": "transactions.orders.tasks.reconcile",
        "schedule": crontab(hour=3, minute=37),  # in UTC
        "options": {"queue": "default", "expires": 3600},
    },
    "sweep-orders": {
        "task": "transactions.orders.tasks.sweep",
        "schedule": timedelta(minutes=1),
        "options": {"queue": "default", "expires": 60},
    },
}

# Logs: one line an event, on standard error, with process and job readable or as JSON.
LOGGING_CONFIG = "config.logs.setup.configure"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "format": "{asctime} {levelname:.1} {process} {name}{request}{job} {message}",
            "style": "{",
        },
        "json": {"()": "config.logs.json_lines.JSONFormatter", "role": role(sys.argv)},
    },
    "filters": {
        "request_id": {"()": "config.request_log.RequestIdFilter"},
        "job": {"()": "config.celery.JobFilter"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": LOG_FORMAT,
            "filters": ["request_id", "job"],
        },
    },
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "django_eventstream": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        "httpcore": {"level": "INFO"},  # below, it writes answers, which may repeat secrets
        "celery.pool": {"level": "INFO"},  # below, it writes what tasks are given
        "celery.app.trace": {"level": "WARNING"},  # the jobs say themselves what they did
        # Says the same several times a second while a broker is away; consumers say it once.
        "kafka": {"level": "CRITICAL"},
        "pika": {"level": "CRITICAL"},  # raises what it logs as errors, and logs it eight times
    },
}
