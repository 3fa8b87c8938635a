"""What operators set: each from one typed environment variable; `.env.example` documents all.

A value of the wrong type or out of range stops the start with the variable's name.
"""

from django.core.exceptions import ImproperlyConfigured
from environs import EnvError, validate

from config.environment import (
    broker_urls,
    each,
    env,
    known_zone,
    networks,
    secret_text,
    topic_name,
    url,
)

DAY_SECONDS = 86_400
MIB = 1024**2
Range = validate.Range

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
    OPERATIONS_RETIRED_ROLES = env.list("OPERATIONS_RETIRED_ROLES", [])
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
