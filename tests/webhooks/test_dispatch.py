import pytest
from django.db import transaction

from webhooks.dispatch import emit
from webhooks.models import Event

pytestmark = pytest.mark.django_db


def test_an_event_is_kept_as_it_was_given():
    data = {"product": {"id": 7, "name": "Lämpchen"}, "changed": ["name"]}
    event = emit("product.updated", data)
    found = Event.objects.get()
    assert (found.pk, found.type, found.data) == (event.pk, "product.updated", data)


def test_an_event_is_taken_back_with_the_change_it_tells_of():
    with pytest.raises(KeyError), transaction.atomic():
        emit("product.updated", {})
        raise KeyError
    assert not Event.objects.exists()
