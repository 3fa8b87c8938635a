import pytest

from config.navigation import groups

PAGES = [
    "/webhooks/",
    "/stocksync/",
    "/streaming/sales/",
    "/streaming/prices/",
    "/transactions/orders/",
    "/transactions/ledger/",
    "/operations/",
]


def current(path: str) -> dict[str, str]:
    return {
        item.url: item.current for group in groups(path) for item in group.items if item.current
    }


@pytest.mark.parametrize("address", ["/products/", "/imports/", *PAGES])
def test_each_page_is_in_the_navigation_and_marked_there(address):
    assert current(address) == {address: "page"}


def test_a_page_below_marks_its_area():
    assert current("/imports/7/") == {"/imports/": "true"}


def test_a_page_of_no_area_marks_none():
    assert current("/account/") == {}


@pytest.mark.django_db
@pytest.mark.parametrize("address", PAGES)
def test_pages_not_built_yet_open_and_mark_themselves(client, user, address):
    client.force_login(user)
    page = client.get(address).content.decode()
    assert f'href="{address}" aria-current="page"' in page
