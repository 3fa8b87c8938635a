import pytest

from webhooks.endpoints.fields import FieldErrors, check_event_type, clean
from webhooks.event_types import EVENT_TYPES

GOOD = {"url": "http://127.0.0.1:9/", "event_types": ["*"]}


def wrong(values, *, partial: bool = False) -> dict[str, list[str]]:
    with pytest.raises(FieldErrors) as refused:
        clean(values, partial=partial)
    return refused.value.fields


def test_what_is_left_out_gets_its_default():
    assert clean(GOOD) == GOOD | {"description": "", "headers": {}, "enabled": True}
    assert clean(GOOD)["headers"] is not clean(GOOD)["headers"]


def test_what_a_change_leaves_out_stays_out():
    assert clean({"description": " The shop "}, partial=True) == {"description": "The shop"}
    assert clean({}, partial=True) == {}


def test_all_that_is_wrong_is_said_at_once_in_the_order_of_the_fields():
    found = wrong(
        {
            "enabled": "yes",
            "headers": {"Host": "x"},
            "description": 7,
            "url": "ftp://x",
            "event_types": [],
            "color": "red",
        }
    )
    assert list(found) == ["url", "description", "event_types", "headers", "enabled", "color"]
    assert all(message.endswith(".") for messages in found.values() for message in messages)


def test_url_and_events_are_needed():
    assert wrong({}) == {"url": ["Enter a URL."], "event_types": ["Choose at least one event."]}


@pytest.mark.parametrize(
    "url",
    ["", "  ", None, 7, [], "x\0y", "\ud800", "http://127.0.0.1/" + "x" * 2_000, "127.0.0.1",
     "http://user:word@127.0.0.1/", "http://10.0.0.1/", "file:///etc/passwd"],
)  # fmt: skip
def test_a_wrong_url_is_refused(url):
    assert list(wrong({"url": url}, partial=True)) == ["url"]


def test_an_address_that_is_not_public_is_refused(settings):
    settings.WEBHOOK_ALLOWED_NETWORKS = []
    assert list(wrong({"url": "http://127.0.0.1/"}, partial=True)) == ["url"]


def test_a_url_loses_the_blanks_around_it():
    assert clean({"url": " http://127.0.0.1/a \n"}, partial=True) == {"url": "http://127.0.0.1/a"}


def test_a_description_is_bounded():
    longest = "x" * 200
    assert clean({"description": f" {longest} "}, partial=True)["description"] == longest
    assert "201 characters" in wrong({"description": longest + "x"}, partial=True)["description"][0]


def test_event_types_are_kept_once_and_in_the_order_of_the_catalogue():
    backwards = list(reversed(EVENT_TYPES)) * 2
    assert clean({"event_types": backwards}, partial=True)["event_types"] == list(EVENT_TYPES)
    assert clean({"event_types": ["*", "*"]}, partial=True)["event_types"] == ["*"]
    beside = {"event_types": ["alert.resolved", "*", "alert.raised"]}
    assert clean(beside, partial=True)["event_types"] == ["*", "alert.raised", "alert.resolved"]


@pytest.mark.parametrize(
    ("event_types", "says"),
    [
        ([], "at least one"),
        (None, "list"),
        ("product.created", "list"),
        ({"product.created": True}, "list"),
        ([1], "list"),
        ([["product.created"]], "list"),
        (["*", "product.created"], "alone"),
        (["*", "alert.raised", "product.created"], "alone"),
        (["*", "product.eaten"], "alone"),
        (["product.created", "product.eaten", "x" * 500], "no event type product.eaten, xxx"),
        ([""], 'no event type ""'),
    ],
)
def test_other_event_types_are_refused(event_types, says):
    (message,) = wrong({"event_types": event_types}, partial=True)["event_types"]
    assert says in message and len(message) < 400


def test_headers_lose_the_blanks_around_their_values():
    given = {"X-Shop": " 7\t", "Authorization": "Bearer a b"}
    found = clean({"headers": given}, partial=True)["headers"]
    assert found == {"X-Shop": "7", "Authorization": "Bearer a b"}


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        (None, "names with their values"),
        ([("X-A", "b")], "names with their values"),
        ({"X-A": None}, "X-A: the value must be text."),
        ({"X-A": 7}, "X-A: the value must be text."),
        ({"": "b"}, "needs a name"),
        ({"X A": "b"}, "X A: "),
        ({"X-A": "b\r\nX-B: c"}, "X-A"),
        ({"X-A": "b\0"}, "X-A"),
        ({"X-A": "x" * 1_001}, "1,000"),
        ({"Webhook-Id": "b"}, "Webhook-Id"),
        ({"X-A": "b", "x-a": "c"}, "x-a: given twice"),
        ({f"X-{n}": "b" for n in range(21)}, "21 headers, at most 20"),
    ],
)
def test_other_headers_are_refused(headers, says):
    messages = wrong({"headers": headers}, partial=True)["headers"]
    assert says in " ".join(messages)


def test_each_wrong_header_is_named():
    messages = wrong({"headers": {"Host": "a", "X-Good": "b", "X-Bad": "ä"}}, partial=True)
    said = messages["headers"]
    assert len(said) == 2 and "Host" in said[0] and "X-Bad" in said[1]


def test_a_thousand_wrong_headers_make_a_bounded_message():
    assert (
        len(wrong({"headers": {f"X {n}": "b" for n in range(1_000)}}, partial=True)["headers"])
        == 21
    )


@pytest.mark.parametrize("enabled", [None, 1, 0, "true", []])
def test_enabled_is_true_or_false(enabled):
    assert list(wrong({"enabled": enabled}, partial=True)) == ["enabled"]


def test_a_test_needs_a_known_event_type():
    assert check_event_type("product.created") == "product.created"
    for other in ("*", "", "product.eaten", None, 7, ["product.created"]):
        with pytest.raises(FieldErrors) as refused:
            check_event_type(other)
        assert list(refused.value.fields) == ["event_type"]
