"""What operators are told of a Redis that can't be used."""

import pytest
import redis
from pytest_django import Settings

from streaming.kafka_log.connection import Unusable
from streaming.prices.preparation import Unprepared
from streaming.prices.trouble import in_words


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (redis.ConnectionError("Error 111 connecting to x. Connection refused."), "refused. Start"),
        (redis.ConnectionError("Connection closed by server."), "it ends our connections"),
        (redis.TimeoutError("Timeout reading from socket"), "no answer in time"),
        (redis.AuthenticationError("invalid username-password pair"), "Correct PRICES_REDIS_URL"),
        (redis.exceptions.NoPermissionError("no permissions"), "refuses our user"),
        (redis.BusyLoadingError("Redis is loading the dataset in memory"), "loading its data"),
        (redis.exceptions.OutOfMemoryError("OOM command not allowed"), "PRICES_HISTORY_KEPT"),
        (redis.ReadOnlyError("You can't write against a read only replica."), "takes no writes"),
        (redis.ResponseError("unknown command"), "could not do what was asked (unknown command)"),
        (redis.RedisError(), "could not do what was asked (RedisError)"),
    ],
)
def test_redis_in_words(settings: Settings, error: redis.RedisError, part: str) -> None:
    settings.PRICES_REDIS_URL = "rediss://:secret@prices.example:7000/1"
    words = in_words(error)
    assert words.startswith("Redis at prices.example:7000 ")
    assert part in words
    assert "secret" not in words


def test_the_rest_in_words() -> None:
    assert in_words(Unprepared("make the topic")) == "make the topic"
    assert in_words(Unusable("no Kafka is known")) == "no Kafka is known"
