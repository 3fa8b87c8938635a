"""Django's settings.

What operators set is in `variables.py`, all of it; what Celery is told is in `celery_settings.py`.
"""

import sys

import dj_database_url
from csp.constants import NONE, SELF
from redis.backoff import NoBackoff
from redis.connection import parse_url as parse_redis_url
from redis.retry import Retry

from config.celery_settings import *  # noqa: F403
from config.environment import BASE_DIR, STATE_DIR
from config.logs.role import role
from config.variables import *  # noqa: F403
from config.variables import (
    DATABASE_CONN_MAX_AGE_SECONDS,
    DATABASE_URL,
    LOG_FORMAT,
    LOG_LEVEL,
    REDIS_URL,
    SECURE,
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
