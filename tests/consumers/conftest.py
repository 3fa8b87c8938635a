"""Fixtures of the tests that run real workers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from config.services.engine import Engine

from .processes import Stage


@pytest.fixture
def stage(own_valkey: Callable[[], Engine], settings: Settings, tmp_path: Path) -> Iterator[Stage]:
    """A broker of the test's own, which `consumer_health` reads too, and processes beside it."""
    data_url = settings.REDIS_URL
    stage = Stage(own_valkey(), data_url, tmp_path)
    settings.REDIS_URL = stage.broker_url
    yield stage
    stage.close()
