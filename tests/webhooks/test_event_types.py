import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from config.accounts.actors import Actor
from products.catalogue import editing, events
from products.models import BulkAction, BulkChange, Deletion, DeletionKind, Product
from webhooks.event_types import BY_NAME, EVENT_TYPES, known
from webhooks.models import Event

CATALOGUE = [name for name in EVENT_TYPES if name not in BY_NAME]  # the others: test_alerts.py
SAMPLES = {name: event_type.sample for name, event_type in EVENT_TYPES.items()}


@pytest.fixture
def user(django_user_model):
    return django_user_model.objects.create_user("ana", password="a-long-enough-password")


def shape(value: Any) -> Any:
    """Its keys, and the kinds of values."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return type(value)


def edit(change: Callable[[Actor, Product], Any]) -> Callable[[Any], None]:
    def emit(user) -> None:
        actor = Actor(user)
        product = editing.create(actor, {"sku": "AB-1", "name": "Lamp"})
        Event.objects.all().delete()
        change(actor, product)

    return emit


def create(user) -> None:
    editing.create(Actor(user), {"sku": "AB-1", "name": "Lamp"})


def rename(actor: Actor, product: Product) -> None:
    editing.update(actor, product.pk, {"name": "Torch", "active": False})


def bulk(action: str, **which: Any) -> Callable[[Any], None]:
    def emit(user) -> None:
        job = BulkChange(action=action, created_by=user, by_name="ana", expected=500, last_id=9)
        job.deletion = deletion(user) if action == BulkAction.RESTORE else None
        for name, value in which.items():
            setattr(job, name, value)
        job.save()
        events.bulk_changed(job)

    return emit


def deletion(user) -> Deletion:
    return Deletion.objects.create(
        kind=DeletionKind.ALL,
        created_by=user,
        by_name="ana",
        what="all",
        rows=12,
        kept_until=timezone.now() + timedelta(days=1),
    )


EMITTERS = {
    "product.created": create,
    "product.updated": edit(rename),
    "product.deleted": edit(lambda actor, product: editing.delete(actor, product.pk)),
    "products.bulk_updated": bulk(BulkAction.DEACTIVATE, search="lamp", active=True),
    "products.bulk_deleted": bulk(BulkAction.DELETE, ids=[1, 2, 3]),
    "products.bulk_restored": bulk(BulkAction.RESTORE),
    "products.deleted_all": lambda user: events.deleted_all(deletion(user)),
}


@pytest.mark.django_db
@pytest.mark.parametrize("name", CATALOGUE)
def test_a_sample_has_the_shape_of_what_is_emitted(user, name):
    EMITTERS[name](user)
    event = Event.objects.get()
    assert event.type == name
    assert shape(event.data) == shape(SAMPLES[name])


def test_all_that_the_catalogue_emits_is_there():
    single = {"product.created", "product.updated", "product.deleted", "products.deleted_all"}
    assert set(CATALOGUE) == single | set(events.BULK_TYPES.values())


@pytest.mark.parametrize("event_type", EVENT_TYPES.values(), ids=str)
def test_a_type_is_named_and_described(event_type):
    assert EVENT_TYPES[event_type.name] is event_type
    assert re.fullmatch(r"[a-z_]+\.[a-z_]+", event_type.name)
    assert len(event_type.name) <= Event._meta.get_field("type").max_length
    assert re.fullmatch(r"[A-Z][^\n]{10,80}\.", event_type.description)


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_a_sample_is_plainly_one(sample):
    if "product" in sample:
        assert sample["product"]["sku"] == "SAMPLE-1"
    if "alert" in sample:
        assert sample["alert"]["key"].startswith("sample:")
    if "previous" in sample:
        assert list(sample["previous"]) == sample["changed"]
        assert all(sample["product"][name] != old for name, old in sample["previous"].items())


@pytest.mark.parametrize(
    ("name", "is_known"),
    [("product.created", True), ("product.create", False), ("*", False), ("", False)],
)
def test_known(name, is_known):
    assert known(name) is is_known
