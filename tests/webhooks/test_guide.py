import re

import pytest
from django.test import Client
from django.urls import reverse

from config.accounts.models import Role, User
from tests.browsing import faults
from webhooks import guide

pytestmark = pytest.mark.django_db


@pytest.fixture
def text(client: Client) -> str:
    """The page as a viewer gets it."""
    client.force_login(User.objects.create_user("vera", role=Role.VIEWER))
    answer = client.get(reverse("webhooks:guide"))
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_guide_is_the_document_without_its_part_for_operators(text):
    assert guide.FOR_OPERATORS in guide.SOURCE.read_text()
    assert "WebhookVerificationError" in text
    assert 'id="duplicates"' in text
    assert "WEBHOOK_LEASE_SECONDS" not in text


def test_every_link_within_it_leads_somewhere_and_none_to_a_file(text):
    article = text[text.index('<article class="card prose">') :]
    addresses = re.findall(r'href="([^"]*)"', article)
    assert len(addresses) > 5
    for address in addresses:
        if address.startswith("#"):
            assert f'id="{address[1:]}"' in article, address
        else:
            assert address.startswith("https://"), address
    assert "/api/products/export.csv" in article  # what was a link to a file keeps its words


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_it_fits_a_phone_and_has_no_serious_fault(page, sign_in):
    sign_in(User.objects.create_user("vera", role=Role.VIEWER))
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(reverse("webhooks:guide"))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert faults(page) == []
