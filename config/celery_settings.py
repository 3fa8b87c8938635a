"""Celery's settings, each with its reason; config/celery.py makes the application of them."""

from datetime import timedelta

from celery.schedules import crontab

from config.variables import IMPORT_SWEEP_SECONDS, PRICES_PERFORMANCE_SECONDS, REDIS_URL

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
