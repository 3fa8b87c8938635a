from collections.abc import Callable

import pytest
from django.test import Client

from config.accounts.models import Role, User
from stocksync.jobs import files, service, work
from stocksync.models import SyncJob

from .reading import text


@pytest.fixture
def user(django_user_model) -> User:
    """An editor."""
    return django_user_model.objects.create_user("ana", password="a-long-enough-password")


@pytest.fixture
def viewer(django_user_model) -> User:
    return django_user_model.objects.create_user("vera", role=Role.VIEWER)


@pytest.fixture
def queued(transactional_db, user) -> Callable[..., SyncJob]:
    """`queued(text, name="events.jsonl", clock="tree")`: a job that no worker has seen."""

    def queued(text: str, *, name: str = "events.jsonl", clock: str = "tree") -> SyncJob:
        events = files.create(name)
        files.append(events.pk, text.encode())
        events.refresh_from_db()
        return service.begin(user, events, clock)

    return queued


@pytest.fixture
def done(queued) -> Callable[..., SyncJob]:
    """`done(text, …)`: the same, once a worker has gone through it."""

    def done(text: str, **options) -> SyncJob:
        return advanced(queued(text, **options))

    return done


@pytest.fixture
def read(client: Client, user) -> Callable[..., str]:
    """`read(address, status=200)`: what an editor reads there."""
    client.force_login(user)

    def read(address: str, status: int = 200, **options) -> str:
        response = client.get(address, **options)
        assert response.status_code == status
        return text(response)

    return read


def advanced(job: SyncJob) -> SyncJob:
    """The job, worked on as a worker does until nothing is left to do."""
    while work.advance(job.pk):
        pass
    job.refresh_from_db()
    return job
