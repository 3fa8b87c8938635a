"""Reading a sample whose sections may be missing or say why they could not be made. Pure."""

from collections.abc import Mapping
from typing import Any

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


def rows(sample: Sample, name: str) -> list[Row]:
    """The rows of the section, none where it can't be told."""
    section = sample.get(name)
    return list(section) if isinstance(section, list) else []


def facts(sample: Sample, name: str) -> Row:
    """The section's figures, nothing where it can't be told."""
    section = sample.get(name)
    return section if isinstance(section, Mapping) and "error" not in section else {}
