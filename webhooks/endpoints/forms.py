"""The form of an endpoint. What is valid is decided by fields.py."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from django.http import QueryDict

from webhooks.event_types import BY_NAME, known
from webhooks.models import Endpoint

from . import fields

LABELS = {
    "url": "URL",
    "description": "Description",
    "event_types": "Events",
    "headers": "Custom headers",
    "enabled": "Enabled",
}
SPARE_ROWS = 3  # for headers, where no script adds them


@dataclass(frozen=True)
class Header:
    """A row of the form's headers; a spare one is empty and of use only without a script."""

    name: str = ""
    value: str = ""
    spare: bool = False
    error: str = ""


@dataclass(frozen=True)
class Difference:
    """A field that somebody else changed, as it is saved now and as this user would save it."""

    label: str
    theirs: str
    mine: str


class EndpointForm:
    """What the user typed, or the endpoint as it is.

    `seen` are the values that an edit began with. What differs from them is what the user changed,
    and only that is saved. `errors` has what is wrong by field, but for what is said at a header.
    """

    no_header = Header()

    def __init__(
        self,
        values: Mapping[str, Any],
        *,
        seen: Mapping[str, Any] | None = None,
        headers: Sequence[Header] | None = None,
    ) -> None:
        self.values = dict(values)
        self.seen = dict(values if seen is None else seen)
        self.headers = _rows(self.values["headers"]) if headers is None else list(headers)
        self.errors: dict[str, list[str]] = {}
        self.problem = ""
        self.theirs: list[Difference] = []
        self.overlaps = False

    @classmethod
    def blank(cls, event_types: Sequence[str] = ()) -> Self:
        """A new one, for `event_types` where some are given and else for all."""
        chosen = [name for name in event_types if known(name)] or [Endpoint.ALL_EVENTS]
        return cls({"url": "", "event_types": chosen, **fields.defaults()})

    @classmethod
    def of(cls, endpoint: Endpoint) -> Self:
        return cls(stored(endpoint))

    @classmethod
    def sent(cls, data: QueryDict) -> Self:
        every = data.get("events") == "all"
        names, given = data.getlist("header_name"), data.getlist("header_value")
        chosen = data.getlist("event_types")
        if every:
            chosen = [Endpoint.ALL_EVENTS, *(name for name in chosen if name in BY_NAME)]
        rows = [
            Header(name.strip(), value)
            for name, value in zip(names, given, strict=False)
            if name.strip() or value.strip()
        ]
        values = {
            "url": data.get("url", ""),
            "description": data.get("description", ""),
            "event_types": chosen,
            "headers": {row.name: row.value for row in rows},
            "enabled": "enabled" in data,
        }
        return cls(values, seen=_seen(data.get("seen", "")), headers=rows)

    def clean(self) -> Any:
        """All values as they are stored; None where something is wrong, see `errors`."""
        return self._clean(self.values, partial=False)

    def changes(self) -> dict[str, Any] | None:
        """What the user changed, cleaned; None where something of it is wrong, see `errors`."""
        touched = {field: self.values[field] for field in fields.FIELDS if self._touched(field)}
        cleaned: dict[str, Any] | None = self._clean(touched, partial=True)
        return cleaned

    def rebased(self, current: Endpoint) -> Self:
        """The user's edits on top of `current`, which somebody else saved meanwhile.

        `theirs` of the result holds what they changed, next to what this user would save.
        """
        now = stored(current)
        mine = {f: self.values[f] if self._touched(f) else now[f] for f in fields.FIELDS}
        form = type(self)(
            mine, seen=now, headers=self.headers if self._touched("headers") else None
        )
        for field in fields.FIELDS:
            if self.seen.get(field, now[field]) != now[field]:
                pair = in_words(field, now[field]), in_words(field, mine[field])
                form.theirs.append(Difference(LABELS[field], *pair))
                form.overlaps = form.overlaps or now[field] != mine[field]
        return form

    @property
    def all_events(self) -> bool:
        return Endpoint.ALL_EVENTS in self.values["event_types"]

    @property
    def header_rows(self) -> list[Header]:
        return [*self.headers, *[Header(spare=True)] * SPARE_ROWS]

    @property
    def seen_as_text(self) -> str:
        return json.dumps(self.seen)

    @property
    def what_is_wrong(self) -> str:
        """ "URL, Events"."""
        return ", ".join(LABELS.get(field, field) for field in self.errors)

    def _touched(self, field: str) -> bool:
        return field not in self.seen or self.values[field] != self.seen[field]

    def _clean(self, values: Mapping[str, Any], *, partial: bool) -> Any:
        self.errors = {}
        cleaned = None
        try:
            cleaned = fields.clean(values, partial=partial)
        except fields.FieldErrors as error:
            self.errors = dict(error.fields)
        self.headers = _checked(self.headers, whole="headers" in values)
        at_rows = {row.error for row in self.headers if row.error}
        if at_rows:
            said = self.errors.get("headers", [])
            self.errors["headers"] = [message for message in said if message not in at_rows]
        return None if self.errors else cleaned


def stored(endpoint: Endpoint) -> dict[str, Any]:
    """The endpoint's fields as a form has them."""
    return {field: getattr(endpoint, field) for field in fields.FIELDS}


def in_words(field: str, value: Any) -> str:
    """A field's value as it is shown next to another one."""
    if field == "event_types":
        return ", ".join("all" if name == Endpoint.ALL_EVENTS else name for name in value)
    if field == "headers":
        return ", ".join(f"{name}: {text}" for name, text in value.items())
    if field == "enabled":
        return "yes" if value else "no"
    return str(value)


def _rows(headers: Mapping[str, str]) -> list[Header]:
    return [Header(name, value) for name, value in headers.items()]


def _checked(rows: Sequence[Header], *, whole: bool) -> list[Header]:
    """The rows, each with what is wrong with it; unless `whole`, what {name: value} can't hold."""
    seen: set[str] = set()
    checked = []
    for row in rows:
        error = fields.header_error(row.name, row.value) if whole or not row.name else ""
        if row.name.lower() in seen:
            error = error or fields.given_twice(row.name)
        seen.add(row.name.lower())
        checked.append(replace(row, error=error))
    return checked


def _seen(text: str) -> dict[str, Any]:
    """The values that an edit began with; {} where the browser sent none that can be read."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
