from datetime import timedelta

import pytest
from django.utils import timezone

from webhooks.endpoints import service
from webhooks.models import Secret

pytestmark = pytest.mark.django_db


def test_the_old_secret_signs_for_a_day_beside_the_new_one(actor, make_endpoint):
    endpoint = make_endpoint()
    (old,) = service.active_secrets(endpoint.pk, timezone.now())
    new = service.rotate(actor, endpoint.pk)

    now = timezone.now()
    assert new != old
    assert service.active_secrets(endpoint.pk, now) == [new, old]
    expires_at = service.old_secret_expires_at(endpoint.pk, now)
    assert timedelta(hours=23.9) < expires_at - now <= timedelta(hours=24)
    assert service.active_secrets(endpoint.pk, expires_at) == [new]
    assert service.old_secret_expires_at(endpoint.pk, expires_at) is None


def test_the_time_is_a_setting(actor, make_endpoint, settings):
    settings.WEBHOOK_ROTATION_HOURS = 0.0
    endpoint = make_endpoint()
    new = service.rotate(actor, endpoint.pk)
    now = timezone.now()
    assert service.active_secrets(endpoint.pk, now) == [new]
    assert service.old_secret_expires_at(endpoint.pk, now) is None


def test_those_that_are_over_go(actor, make_endpoint):
    endpoint = make_endpoint()
    service.rotate(actor, endpoint.pk)
    Secret.objects.exclude(expires_at=None).update(expires_at=timezone.now())
    service.rotate(actor, endpoint.pk)
    assert Secret.objects.filter(endpoint=endpoint).count() == 2


def test_rotated_again_all_sign_up_to_five(actor, make_endpoint):
    endpoint, other = make_endpoint(), make_endpoint()
    made = service.active_secrets(endpoint.pk, timezone.now())
    for _ in range(6):
        made.append(service.rotate(actor, endpoint.pk))
    assert service.active_secrets(endpoint.pk, timezone.now()) == made[:1:-1]
    assert len(made[:1:-1]) == Secret.objects.filter(endpoint=endpoint).count() == 5
    assert Secret.objects.filter(endpoint=other).count() == 1


def test_a_rotation_is_no_new_version_of_the_endpoint(actor, make_endpoint):
    endpoint = make_endpoint()
    service.rotate(actor, endpoint.pk)
    service.update(actor, endpoint.pk, {"description": "x"}, version=endpoint.version)
