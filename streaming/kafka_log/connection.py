"""How Kafka is reached: the options of every client, and its errors in words for operators.

All of this package and its callers take from here what belongs to the connection.
"""

from typing import Any

from django.conf import settings

from . import tls
from .client import Client
from .trouble import Unusable, curable, in_words, pause_seconds

__all__ = ["Unusable", "curable", "in_words", "options", "pause_seconds"]


def options() -> dict[str, Any]:
    """Options of kafka-python's clients (consumer, producer, admin): where Kafka is, who we are.

    Raises Unusable where the settings lead nowhere.
    """
    if not settings.KAFKA_BOOTSTRAP_SERVERS:
        raise Unusable(
            "No Kafka is known. Set KAFKA_BOOTSTRAP_SERVERS to host:port of its brokers,"
            " or let `make run` start one."
        )
    try:
        context = tls.context()
    except tls.UnusableCertificate as error:
        raise Unusable(str(error)) from error
    made: dict[str, Any] = {
        "bootstrap_servers": settings.KAFKA_BOOTSTRAP_SERVERS,
        "security_protocol": settings.KAFKA_SECURITY_PROTOCOL,
        "ssl_context": context,
        "kafka_client": Client,
        # By default half a minute may pass until a broker that came back is noticed.
        "reconnect_backoff_max_ms": 2_000,
    }
    if settings.KAFKA_SECURITY_PROTOCOL.startswith("SASL"):
        made["sasl_mechanism"] = settings.KAFKA_SASL_MECHANISM
        made["sasl_plain_username"] = settings.KAFKA_SASL_USERNAME
        made["sasl_plain_password"] = settings.KAFKA_SASL_PASSWORD
    return made
