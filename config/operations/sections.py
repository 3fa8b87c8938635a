"""Reading a sample whose sections may be missing or say why they could not be made. Pure."""

from collections.abc import Mapping
from typing import Any

from . import words

Sample = Mapping[str, Any]
Row = Mapping[str, Any]

SECTIONS = {  # in words
    "engines": "engines",
    "processes": "processes",
    "queues": "queues",
    "consumers": "consumers",
    "jobs": "imports and jobs",
    "deliveries": "deliveries",
    "rollup": "the last rollup",
    "performance": "performance runs",
    "orders": "open orders",
    "rejects": "rejects",
    "checks": "checks",
    "retention": "retention",
}
NOT_SAMPLED = "this sample has none: it was taken by another version"


def failure(sample: Sample, name: str) -> str:
    """Why the section `name` can't be told, "" where it can."""
    section = sample.get(name)
    if section is None:
        return NOT_SAMPLED
    if isinstance(section, Mapping) and "error" in section:
        return str(section["error"]) or "it could not be read"
    return ""


def gaps(sample: Sample) -> list[tuple[str, str]]:
    """The sections that are there but for a part, each with why that can't be told.

    A queue of an engine that is away is none of these: that is known.
    """
    found = [(str(each["section"]), str(each["why"])) for each in sample.get("unread") or ()]
    away = {each["name"] for each in rows(sample, "engines") if each["status"] != "ok"}
    for each in rows(sample, "queues"):
        if each.get("error") and not each.get("missing") and each["engine"] not in away:
            # Its own words name hosts and users; its row on the page has them.
            engine = words.engine(each["engine"])
            found.append(("queues", f"{engine} does not tell of the queue {each['name']}"))
    return found


def rows(sample: Sample, name: str) -> list[Row]:
    """The rows of the section, none where it can't be told."""
    section = sample.get(name)
    return list(section) if isinstance(section, list) else []


def facts(sample: Sample, name: str) -> Row:
    """The section's figures, nothing where it can't be told."""
    section = sample.get(name)
    return section if isinstance(section, Mapping) and "error" not in section else {}
