"""What is kept of samples, against a real Redis."""

from collections.abc import Callable, Iterator

import pytest
import redis
from pytest_django import Settings

from config.operations import sample
from config.services.engine import Engine

from .example import AT, EXAMPLE, POINTS
from .keeping import apart


@pytest.fixture(autouse=True)
def _nothing_yet(settings: Settings) -> Iterator[None]:
    settings.REDIS_URL = apart(settings.REDIS_URL)
    client = sample.client(settings.REDIS_URL)
    kept = (sample.SAMPLE, sample.POINTS, sample.LEADER)
    client.delete(*kept)
    yield
    client.delete(*kept)


def test_there_is_none_at_first() -> None:
    assert sample.read() is None
    assert sample.points() == []


def test_it_reads_what_was_kept_and_its_age() -> None:
    assert sample.keep(EXAMPLE)

    found = sample.read()

    assert found is not None
    assert 0 <= found.pop("age_seconds") < sample.KEPT_SECONDS
    assert found == EXAMPLE


def test_it_keeps_no_more_points_than_an_hour_has() -> None:
    for back in range(sample.POINTS_MOST + 5, 0, -1):
        sample.keep(EXAMPLE, {"at": AT - back})

    found = sample.points()

    assert [each["at"] for each in found] == [AT - back for back in range(360, 0, -1)]


def test_it_leaves_out_points_older_than_an_hour() -> None:
    for at in (AT - 3600, AT - 3599, AT):
        sample.keep(EXAMPLE, {"at": at})

    assert [each["at"] for each in sample.points()] == [AT - 3599, AT]


def test_a_sample_may_come_without_a_point() -> None:
    sample.keep(EXAMPLE, POINTS[-1])
    sample.keep({**EXAMPLE, "cost_seconds": 1.0})

    assert sample.points() == [POINTS[-1]]


def test_only_one_leads() -> None:
    assert sample.lead("one", 60)
    assert not sample.lead("two", 60)
    assert sample.lead("one", 60)


def test_who_leaves_is_followed_at_once() -> None:
    sample.lead("one", 60)

    sample.leave("two")
    assert not sample.lead("two", 60)
    sample.leave("one")
    assert sample.lead("two", 60)


def test_who_stood_still_puts_no_old_sample_over_anothers() -> None:
    sample.lead("two", 60)
    sample.keep(EXAMPLE, POINTS[0], by="two")

    assert not sample.keep({**EXAMPLE, "at": AT - 60}, POINTS[1], by="one")

    found = sample.read()
    assert found is not None
    assert found["at"] == AT
    assert sample.points() == POINTS[:1]


def test_a_lease_that_ended_unnoticed_costs_no_sample() -> None:
    assert sample.keep(EXAMPLE, by="one")


def test_without_redis_it_says_so(own_valkey: Callable[[], Engine], settings: Settings) -> None:
    engine = own_valkey()
    settings.REDIS_URL = engine.variables()["REDIS_URL"]
    engine.kill()

    for call in (sample.read, sample.points, lambda: sample.keep({}), lambda: sample.lead("a", 1)):
        with pytest.raises(redis.RedisError):
            call()
