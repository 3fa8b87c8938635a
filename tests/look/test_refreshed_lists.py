"""Lists that are fetched again every few seconds: what is pressed or in focus stays where it is."""

from collections.abc import Callable

import pytest
from django.db.models import F, Model
from django.utils import timezone
from playwright.sync_api import Page, expect

from config.accounts.models import User
from config.operations.models import Alert
from products.models import Import, ImportState, Upload
from stocksync.jobs import files, service
from stocksync.models import SyncState

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def an_import(user: User) -> Model:
    upload = Upload.objects.create(
        file_name="spring.csv", size_bytes=1, expires_at=timezone.now(), created_by=user
    )
    return Import.objects.create(upload=upload, created_by=user, state=ImportState.QUEUED)


def a_job(user: User) -> Model:
    return service.begin(user, files.create("events.jsonl"), "tree")


def an_alert(user: User) -> Model:
    now = timezone.now()
    return Alert.objects.create(
        key="retention:rejects",
        severity="warning",
        title="Retention fails",
        url="/stocksync/",
        first_seen_at=now,
        raised_at=now,
        last_seen_at=now,
    )


LISTS = {
    "/imports/": (
        an_import,
        {"state": ImportState.FAILED, "finished_at": F("created_at")},
        "failed",
    ),
    "/stocksync/": (a_job, {"state": SyncState.RUNNING}, "running"),
    "/operations/alerts/": (an_alert, {"severity": "critical"}, "critical"),
}


@pytest.mark.parametrize("address", LISTS)
def test_a_link_that_is_pressed_while_the_rows_come_anew_is_followed(
    page: Page, user: User, sign_in: Callable[[User], None], live_server: object, address: str
) -> None:
    make, change, shown = LISTS[address]
    row = make(user)
    sign_in(user)
    page.clock.install()
    page.goto(address)
    link = page.locator("main tbody th a")
    target = link.get_attribute("href")
    assert target
    link.hover()
    page.mouse.down()
    type(row).objects.update(**change)
    page.clock.run_for(10_000)
    expect(page.locator("main tbody")).to_contain_text(shown)
    expect(link).to_be_focused()
    page.mouse.up()
    expect(page).to_have_url(target)
