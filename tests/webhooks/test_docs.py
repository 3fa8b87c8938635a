"""docs/webhooks.md says what is so: its code is run, its examples and tables are compared."""

import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from config.accounts.actors import Actor
from products.catalogue import deletions, editing
from products.catalogue.events import ONE_EVENT_EACH
from webhooks import api_urls
from webhooks.deliveries import replay, search
from webhooks.endpoints import fields, rotation, service
from webhooks.engine import breaker, message, schedule
from webhooks.event_types import EVENT_TYPES
from webhooks.models import Endpoint, Event
from webhooks.signing import new_secret, signature

TEXT = (settings.BASE_DIR / "docs" / "webhooks.md").read_text()
WORDS = " ".join(TEXT.split())  # without line breaks, to look for sentences
EXAMPLE = (settings.BASE_DIR / ".env.example").read_text()


def sections(level: int) -> dict[str, str]:
    """Text by heading, of that many #."""
    parts = re.split(rf"^{'#' * level} (.+)$", TEXT, flags=re.MULTILINE)
    ends = rf"^#{{1,{level}}} "
    pairs = zip(parts[1::2], parts[2::2], strict=True)
    return {name: re.split(ends, text, maxsplit=1, flags=re.MULTILINE)[0] for name, text in pairs}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def rows(text: str, first: str) -> list[list[str]]:
    """The cells of the table whose first heading is `first`, without code marks."""
    lines = iter(text[text.index(f"| {first} |") :].splitlines())
    cells = []
    for line in lines:
        if not line.startswith("|"):
            break
        cells.append([cell.strip().replace("`", "") for cell in line.strip("|").split("|")])
    return cells[2:]


class TestVerification:
    BODY = message.body("product.created", datetime.now(UTC), EVENT_TYPES["product.created"].sample)

    @pytest.fixture(params=[0, 1], ids=["standardwebhooks", "hmac"])
    def verified(self, request) -> Callable[..., Any]:
        """The function of one of the page's examples."""
        code = blocks(sections(2)["Verify"], "python")
        assert len(code) == 2
        assert ("standardwebhooks" in code[request.param]) is (request.param == 0)
        names: dict[str, Any] = {}
        exec(code[request.param], names)
        return names["verified"]

    def sent(self, *secrets: str, ago: float = 0, body: bytes = BODY) -> dict[str, str]:
        at = datetime.now(UTC) - timedelta(seconds=ago)
        return message.headers("evt_1", at, body, secrets, {"X-Shop": "7"}, False)

    def test_what_was_sent_is_verified(self, verified):
        secret = new_secret()
        assert verified(self.BODY, self.sent(secret), secret) == json.loads(self.BODY)

    def test_so_is_text_in_any_language(self, verified):
        body = message.body("product.created", datetime.now(UTC), {"name": "Lämpchen 💡 灯"})
        secret = new_secret()
        assert verified(body, self.sent(secret, body=body), secret)["data"]["name"].endswith("灯")

    @pytest.mark.parametrize("which", [0, 1])
    def test_while_rotating_either_secret_does(self, verified, which):
        secrets = (new_secret(), new_secret())
        assert verified(self.BODY, self.sent(*secrets), secrets[which])

    def test_the_case_of_headers_does_not_matter(self, verified):
        secret = new_secret()
        headers = {name.title(): value for name, value in self.sent(secret).items()}
        assert verified(self.BODY, headers, secret)

    def test_a_changed_body_is_refused(self, verified):
        secret = new_secret()
        headers = self.sent(secret)
        with pytest.raises(ValueError):
            verified(self.BODY.replace(b"SAMPLE-1", b"SAMPLE-2"), headers, secret)

    def test_what_is_no_text_is_refused(self, verified):
        secret = new_secret()
        with pytest.raises(ValueError):
            verified(b"\xff", self.sent(secret), secret)

    def test_a_body_that_was_written_anew_is_refused(self, verified):
        secret = new_secret()
        with pytest.raises(ValueError):
            verified(json.dumps(json.loads(self.BODY)).encode(), self.sent(secret), secret)

    @pytest.mark.parametrize("ago", [330, -330])
    def test_another_time_is_refused(self, verified, ago):
        secret = new_secret()
        with pytest.raises(ValueError):
            verified(self.BODY, self.sent(secret, ago=ago), secret)

    def test_an_old_message_with_a_new_time_is_refused(self, verified):
        secret = new_secret()
        headers = self.sent(secret, ago=3_600) | {"webhook-timestamp": str(int(time.time()))}
        with pytest.raises(ValueError):
            verified(self.BODY, headers, secret)

    def test_another_secret_is_refused(self, verified):
        with pytest.raises(ValueError):
            verified(self.BODY, self.sent(new_secret()), new_secret())

    @pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
    @pytest.mark.parametrize("value", [None, "", "x", "v1", "v1,", "v1,x", "é", "9" * 400])
    def test_what_is_no_message_is_refused(self, verified, name, value):
        secret = new_secret()
        headers = self.sent(secret)
        del headers[name]
        if value is not None:
            headers[name] = value
        with pytest.raises(ValueError):
            verified(self.BODY, headers, secret)


def test_the_example_request_is_really_signed():
    (request,) = blocks(TEXT, "http")
    head, body = request.split("\n\n")
    headers = dict(line.split(": ", 1) for line in head.splitlines()[1:])
    secret = re.search(r"whsec_[A-Za-z0-9+/=]{20,}", WORDS)[0]
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    content = body.rstrip("\n").encode()
    assert message.headers(headers["webhook-id"], at, content, [secret], {}, False) == {
        name: value for name, value in headers.items() if name != "host"
    }
    assert signature([secret], headers["webhook-id"], at, content) == headers["webhook-signature"]
    shown = json.loads(content)
    occurred_at = datetime.fromisoformat(shown["timestamp"])
    assert message.body(shown["type"], occurred_at, EVENT_TYPES[shown["type"]].sample) == content


def test_the_headers_are_those_that_are_sent():
    sent = message.headers("evt_1", datetime.now(UTC), b"{}", [new_secret()], {}, True, "abc")
    table = rows(sections(2)["What comes"], "header")
    assert [name for name, _ in table] == list(sent)
    assert table[1][1] == sent["user-agent"]


def test_the_headers_that_are_taken_are_named():
    (taken,) = re.findall(r"are taken: (.*?)\. ", WORDS + " ")
    names, begins = taken.split(", and whatever begins with ")
    assert set(re.findall(r"`([^`]+)`", names)) == message.RESERVED
    assert tuple(re.findall(r"`([^`]+)`", begins)) == message.RESERVED_PREFIXES


def test_there_is_an_example_of_each_event():
    found = {name: text for name, text in sections(3).items() if "." in name}
    assert list(found) == list(EVENT_TYPES)
    for name, text in found.items():
        (example,) = (json.loads(block) for block in blocks(text, "json"))
        assert text.strip().startswith(EVENT_TYPES[name].description)
        assert list(example) == ["type", "timestamp", "data"]
        assert example["type"] == name
        assert example["data"] == EVENT_TYPES[name].sample


@pytest.mark.parametrize(
    "words",
    [
        f"each has its own event, up to {ONE_EVENT_EACH} of them",
        *(
            EVENT_TYPES[name].description
            for name in EVENT_TYPES
            if f"More than {ONE_EVENT_EACH} " in EVENT_TYPES[name].description
        ),
    ],
)
def test_many_products_are_told_of_at_once(words):
    assert words in WORDS


@pytest.mark.django_db
def test_messages_about_a_product_are_ordered_as_advised(django_user_model):
    actor = Actor(django_user_model.objects.create_user("ana"))
    product = editing.create(actor, {"sku": "AB-1", "name": "Lamp"})
    editing.update(actor, product.pk, {"name": "Torch"})
    for _ in range(2):
        deletions.undo(actor, editing.delete(actor, product.pk).pk)
    editing.update(actor, product.pk, {"name": "Lamp"})
    editing.delete(actor, product.pk)
    came = list(Event.objects.order_by("occurred_at"))
    one, many = ["created", "updated"], ["deleted", "created"] * 2
    kinds = [*one, *many, "updated", "deleted"]
    assert [event.type for event in came] == [f"product.{kind}" for kind in kinds]
    assert {event.data["product"]["id"] for event in came} == {product.pk}
    updated_at = [datetime.fromisoformat(event.data["product"]["updated_at"]) for event in came]
    pairs = [(at, event.occurred_at) for at, event in zip(updated_at, came, strict=True)]
    assert pairs == sorted(set(pairs))


def seconds(words: str) -> int:
    """ "7 h 35 min 5 s", "2 hours"."""
    units = {"s": 1, "m": 60, "h": 3_600}
    return sum(int(n) * units[unit] for n, unit in re.findall(r"(\d+) ([smh])", words))


def test_the_schedule_is_the_default():
    table = rows(sections(2)["When it fails"], "attempt")
    assert [int(number) for number, _, _ in table] == list(range(1, len(table) + 1))
    assert table[0][1] == "at once"
    steps = [seconds(after) for _, after, _ in table[1:]]
    assert steps == settings.WEBHOOK_RETRY_SECONDS
    assert [seconds(since) for _, _, since in table] == [sum(steps[:n]) for n in range(len(table))]
    assert schedule.JITTER == 0.1
    assert "up to a tenth shorter or longer" in WORDS


@pytest.mark.parametrize(
    "words",
    [
        f"no answer within {settings.WEBHOOK_TIMEOUT_SECONDS:g} seconds",
        f"Up to {settings.WEBHOOK_IN_FLIGHT_PER_ENDPOINT} requests come to one endpoint",
        f"its first {settings.WEBHOOK_RESPONSE_BYTES // 1024} KB are kept",
        f"at most {schedule.MAX_RETRY_AFTER_SECONDS / 3_600:g} hours count",
        f"After {settings.WEBHOOK_BREAK_AFTER} failures in a row the endpoint is left alone for"
        f" {settings.WEBHOOK_BREAK_SECONDS:g} seconds",
        f"doubles the pause, up to {breaker.MAX_PAUSE_SECONDS // 60} minutes",
        f"after {settings.WEBHOOK_DISABLE_AFTER_HOURS:g} hours (5 days) of nothing but failures",
        f"For {settings.WEBHOOK_ROTATION_HOURS:g} hours each message carries two signatures",
        f"At most {rotation.MAX_SECRETS} secrets sign at a time",
        f"Keep each `webhook-id` for {settings.EVENT_KEEP_DAYS:g} days",
        f"attempts are kept for {settings.EVENT_KEEP_DAYS:g} days",
        f"Of a SKU its newest {search.EVENTS_AT_MOST:,} events are looked at",
        f"on port {' or '.join(map(str, settings.WEBHOOK_PORTS))},",
    ],
)
def test_a_number_is_the_default(words):
    assert words in WORDS


def test_the_limits_are_those_that_are_kept():
    table = {what: most.split(" ")[0] for what, most in rows(sections(2)["Limits"], "what")}
    assert table == {
        "endpoints": f"{service.MAX_ENDPOINTS:,}",
        "URL": f"{Endpoint.URL_CHARACTERS:,}",
        "description": f"{Endpoint.DESCRIPTION_CHARACTERS:,}",
        "custom headers of an endpoint": f"{fields.MAX_HEADERS:,}",
        "name of a custom header": f"{message.NAME_CHARACTERS:,}",
        "value of a custom header": f"{message.VALUE_CHARACTERS:,}",
        "deliveries of one replay request": f"{replay.AT_MOST:,}",
    }


def test_all_addresses_of_the_api_are_named_with_their_methods():
    def methods(view: Any) -> set[str]:
        return {name.upper() for name in view.http_method_names if hasattr(view, name)} - {
            "OPTIONS",
            "HEAD",
        }

    real = {
        re.sub("<int:pk>", "{id}", f"webhooks/{url.pattern}"): methods(url.callback.view_class)
        for url in api_urls.urlpatterns
    }
    table = rows(sections(2)["By API"], "address")
    named = {
        path: set(given.split(", ")) for given, path in (cells[0].rsplit(" ", 1) for cells in table)
    }
    assert named == real


def defaults() -> list[tuple[str, str]]:
    return re.findall(r"^#(EVENT_KEEP_DAYS|WEBHOOK_\w+)=(.*)$", EXAMPLE, flags=re.MULTILINE)


def test_all_settings_are_named_with_their_defaults():
    table = rows(sections(2)["For operators"], "variable")
    assert [(name, default.replace("none", "")) for name, default, _ in table] == defaults()


def test_links_lead_somewhere():
    headings = re.findall(r"^#+ (.+)$", TEXT, flags=re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        if target.startswith("#"):
            assert target[1:] in anchors
        elif not target.startswith("https://"):
            path = Path(settings.BASE_DIR / "docs" / target.partition("#")[0])
            assert path.exists(), target
