"""Jobs of two kinds by the same machinery: imports and bulk changes. See also test_claims.py."""

from datetime import timedelta

import pytest
from django.db import Error as DatabaseError
from django.db import connection
from django.utils import timezone

from config.accounts.actors import Actor
from config.jobs import claims, runner
from config.jobs.claims import ClaimLost
from products.catalogue import bulk
from products.catalogue.filters import Filter
from products.imports import pipeline
from products.imports.uploads import create_upload
from products.models import BulkAction, BulkChange, BulkState, Import, Product

pytestmark = pytest.mark.django_db


@pytest.fixture
def user(django_user_model):
    return django_user_model.objects.create_user("ana", password="a-long-enough-password")


@pytest.fixture
def change(user, settings) -> BulkChange:
    """A queued one of ten products."""
    settings.BULK_AT_ONCE = 0
    settings.BULK_BATCH_ROWS = 5
    Product.objects.bulk_create(Product(sku=f"sku-{n}", name="Name") for n in range(10))
    return bulk.start(Actor(user), BulkAction.DEACTIVATE, filter=Filter("sku"))


def grow_old(change: BulkChange) -> None:
    """What the time would do to the heartbeat of a worker that has stopped."""
    long_ago = timezone.now() - timedelta(days=1)
    BulkChange.objects.filter(pk=change.pk).update(heartbeat_at=long_ago)


def test_a_claim_on_one_kind_of_job_is_none_on_another_with_the_same_id(change, user):
    job = Import.objects.create(pk=change.pk, upload=create_upload(user, "p.csv", 10))

    one, other = claims.take(BulkChange, change.pk), claims.take(Import, job.pk)

    assert one == claims.Claim(BulkChange, change.pk, 1, 1)
    assert other == claims.Claim(Import, job.pk, 1, 1)
    assert isinstance(claims.hold(one), BulkChange)
    assert isinstance(claims.hold(other), Import)
    claims.end(BulkChange, change.pk, BulkState.FAILED, "for a test")
    with pytest.raises(ClaimLost, match=f"bulk change {change.pk} claim 1"):
        claims.hold(one)
    claims.hold(other)


def test_whoever_took_over_goes_on_and_the_frozen_one_gives_up(change):
    frozen = claims.take(BulkChange, change.pk)
    runner.step(bulk.WORK, frozen)
    runner.step(bulk.WORK, frozen)
    grow_old(change)
    assert bulk.forgotten() == [change.pk]
    successor = claims.take(BulkChange, change.pk)

    with pytest.raises(ClaimLost):
        runner.step(bulk.WORK, frozen)

    assert runner.step(bulk.WORK, successor) is False
    change.refresh_from_db()
    assert (change.state, change.changed) == (BulkState.DONE, 10)


def test_an_error_is_kept_and_tried_again_and_fails_the_job_in_the_end(change, settings):
    settings.IMPORT_MAX_STALLS = 2
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE products_productchange ADD CONSTRAINT no CHECK (false)")
    for _ in range(1 + 2):  # the first one got something done before
        with pytest.raises(DatabaseError):
            bulk.advance(change.pk)
    change.refresh_from_db()
    assert change.state == BulkState.RUNNING
    assert change.error.startswith("IntegrityError: new row for relation")
    assert bulk.forgotten() == [change.pk]

    assert bulk.advance(change.pk) is False

    change.refresh_from_db()
    assert change.state == BulkState.FAILED
    assert change.error.startswith("Tried 2 times in vain: IntegrityError")
    assert Product.objects.filter(active=False).count() == 0


def test_both_kinds_say_what_is_forgotten_in_their_own_order(change, user):
    later = bulk.start(Actor(user), BulkAction.DEACTIVATE, filter=Filter("sku"))
    assert runner.forgotten(bulk.WORK) == [change.pk, later.pk]
    assert runner.forgotten(pipeline.WORK) == []


def test_a_job_that_has_ended_can_not_be_asked_for_anything(change):
    open_change = BulkChange.objects.exclude(state__in=BulkChange.ENDED)
    assert runner.ask(open_change, cancel_requested=True) is True
    bulk.advance(change.pk)
    assert runner.ask(open_change, cancel_requested=True) is False


def test_after_workers_that_died_over_it_the_next_takes_smaller_bites(change, settings):
    settings.BULK_BATCH_ROWS = 8
    for _ in range(2):
        claims.take(BulkChange, change.pk)
        grow_old(change)
    claim = claims.take(BulkChange, change.pk)

    runner.step(bulk.WORK, claim)  # to running
    runner.step(bulk.WORK, claim)
    change.refresh_from_db()
    assert (claim.stalls, change.changed) == (3, 1)

    grow_old(change)
    healthy = claims.take(BulkChange, change.pk)
    runner.step(bulk.WORK, healthy)
    change.refresh_from_db()
    assert (healthy.stalls, change.changed) == (1, 9)
