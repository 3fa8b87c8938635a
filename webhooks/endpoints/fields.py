"""The rules of an endpoint's fields: for the pages' form and the API.

Pure, but for the look-up of the URL's host in check_at_save.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypedDict

from config.field_rules import FieldErrors, Wrong, at_most, text, true_or_false
from webhooks import event_types
from webhooks.engine.addresses import Policy, Refused, check_at_save
from webhooks.engine.message import check_header
from webhooks.models import Endpoint

FIELDS = ("url", "description", "event_types", "headers", "enabled")
REQUIRED = {"url": "Enter a URL.", "event_types": "Choose at least one event."}
ALONE = (
    '"*" stands for all events but alerts: give it alone or with'
    f" {' and '.join(sorted(event_types.BY_NAME))}, or leave it out."
)
MAX_HEADERS = 20
BLANKS = " \t"  # that may stand around a header's value


class EndpointValues(TypedDict):
    """What `clean` returns: an endpoint's fields as they are stored."""

    url: str
    description: str
    event_types: list[str]  # "*" stands for all but those of BY_NAME
    headers: dict[str, str]
    enabled: bool


def defaults() -> dict[str, Any]:
    """Values of the fields that may be left out."""
    return {"description": "", "headers": {}, "enabled": True}


def clean(values: Mapping[str, Any], *, partial: bool = False) -> Any:
    """The values as they are stored, EndpointValues. Raises FieldErrors with all that is wrong.

    `values` holds url and description (str), event_types (list of str), headers ({name: value})
    and enabled (bool). Without `partial` url and event_types are required and the others get
    their defaults; with it the result has what was given. Looks up the URL's host: takes up to
    2 s, so call it outside of transactions.
    """
    cleaned: dict[str, Any] = {}
    errors: dict[str, list[str]] = {}
    for field in FIELDS:
        try:
            if field in values:
                cleaned[field] = CLEANERS[field](values[field])
            elif not partial:
                if field in REQUIRED:
                    raise Wrong(REQUIRED[field])
                cleaned[field] = defaults()[field]
        except Wrong as error:
            errors[field] = error.messages
    unknown = [field for field in values if field not in FIELDS]
    for field in unknown[:20]:  # a body may be nothing but these
        errors[field] = [f"There is no such field. Fields are: {', '.join(FIELDS)}."]
    if errors:
        raise FieldErrors(errors)
    return cleaned


def check_event_type(value: Any) -> str:
    """One known event type, as a test needs it. Raises FieldErrors."""
    if isinstance(value, str) and event_types.known(value):
        return value
    raise FieldErrors({"event_type": [_unknown(value)]})


def header_error(name: Any, given: Any) -> str:
    """What is wrong with one custom header, for people; "" where nothing is."""
    if not isinstance(name, str) or not isinstance(given, str):
        return f"{_shown(name)}: the value must be text."
    error = check_header(name, given.strip(BLANKS))
    return error if not error or name in error else f"{_shown(name)}: {error}"


def given_twice(name: str) -> str:
    """What is wrong with the second of two headers with this name."""
    return f"{_shown(name)}: given twice; case makes no difference."


def _url(value: Any) -> str:
    url = text(value).strip()
    if not url:
        raise Wrong(REQUIRED["url"])
    at_most(Endpoint.URL_CHARACTERS, url)
    try:
        check_at_save(url, Policy.from_settings())
    except Refused as error:
        raise Wrong(str(error)) from None
    return url


def _description(value: Any) -> str:
    return at_most(Endpoint.DESCRIPTION_CHARACTERS, text(value).strip())


def _event_types(value: Any) -> list[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise Wrong('Must be a list of event types, or ["*"] for all.')
    chosen = set(value)
    if not chosen:
        raise Wrong(REQUIRED["event_types"])
    others = chosen - event_types.BY_NAME - {Endpoint.ALL_EVENTS}
    if Endpoint.ALL_EVENTS in chosen and others:
        raise Wrong(ALONE)
    names = (Endpoint.ALL_EVENTS, *event_types.EVENT_TYPES)
    unknown = [name for name in dict.fromkeys(value) if name not in names]
    if unknown:
        raise Wrong(_unknown(*unknown))
    return [name for name in names if name in chosen]


def _headers(value: Any) -> dict[str, str]:
    """Blanks around a value go: HTTP takes them for none of its (RFC 9110, section 5.5)."""
    if not isinstance(value, Mapping):
        raise Wrong('Must be names with their values: {"X-Shop": "7"}.')
    cleaned: dict[str, str] = {}
    messages: list[str] = []
    for name, given in value.items():
        error = header_error(name, given)
        if not error and name.lower() in {other.lower() for other in cleaned}:
            error = given_twice(name)
        if error:
            messages.append(error)
        else:
            cleaned[name] = given.strip(BLANKS)
        if len(messages) == MAX_HEADERS:
            break
    if len(value) > MAX_HEADERS:
        messages.insert(0, f"{len(value):,} headers, at most {MAX_HEADERS} are allowed.")
    if messages:
        raise Wrong(*messages)
    return cleaned


def _unknown(*names: Any) -> str:
    shown = ", ".join(_shown(name) for name in names[:MAX_HEADERS])
    known = ", ".join(event_types.EVENT_TYPES)
    return f"There is no event type {shown}. Event types are: {known}."


def _shown(name: Any) -> str:
    """What somebody gave as a name, bounded, as a message can repeat it."""
    words = str(name)
    return (words if len(words) <= 64 else f"{words[:64]}…") or '""'


CLEANERS: dict[str, Callable[[Any], Any]] = {
    "url": _url,
    "description": _description,
    "event_types": _event_types,
    "headers": _headers,
    "enabled": true_or_false,
}
