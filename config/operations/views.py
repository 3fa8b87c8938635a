"""The page Operations: whether all is well, and what is wrong. It reads the newest sample only."""

import dataclasses
from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError

from config import health
from config.consumers.overview import not_running
from config.consumers.registry import consumer_names
from config.version import version

from . import limits, plots, sample, sections, words
from .problem import Problem
from .problems import problems
from .process_problems import heard as running
from .sections import Row, Sample

MOST_PROBLEMS = 50
SILENT_BEATS = 3


@require_safe
@never_cache
def operations(request: HttpRequest) -> HttpResponse:
    """The whole page, or its live part for the script. Renders whatever engine is away.

    Without a sample the engines are asked, which takes READY_TIMEOUT_SECONDS at most.
    """
    found, points, away = None, [], False
    try:
        found = sample.read()
        points = sample.points() if found is not None else []
    except RedisError:
        away = True
    context = _unsampled(away=away) if found is None else _sampled(found, points)
    template = "operations/part.html" if request.htmx else "operations/page.html"
    response = render(request, template, context)
    patch_vary_headers(response, ["HX-Request"])
    return response


def _unsampled(*, away: bool) -> dict[str, Any]:
    """What can be told without Redis, or before the first sample."""
    engines = [dataclasses.asdict(engine) for engine in health.engines()]
    found = [
        each
        for each in problems({"engines": engines, "processes": {"error": ""}})
        if each.key.startswith("engine:")
    ]
    return {
        "away": away,
        "found": None,
        "every_seconds": settings.OPERATIONS_SAMPLE_SECONDS,
        "engines": [{**engine, "title": words.engine(engine["name"])} for engine in engines],
        **_headline(found, none="Nothing measured yet"),
    }


def _sampled(found: dict[str, Any], points: list[dict[str, Any]]) -> dict[str, Any]:
    limit = limits.limits()
    now = found["at"] + found["age_seconds"]
    return {
        "found": found,
        "age": found["age_seconds"],
        "old": found["age_seconds"] > limit.sample_age_seconds,
        "every_seconds": settings.OPERATIONS_SAMPLE_SECONDS,
        "errors": {
            name: {"name": said, "why": why}
            for name, said in sections.SECTIONS.items()
            if (why := sections.failure(found, name))
        },
        "engines": [
            {**engine, "title": words.engine(engine["name"])}
            for engine in sections.rows(found, "engines")
        ],
        "processes": _processes(found, now),
        "queues": sections.rows(found, "queues"),
        "consumers": _consumers(found),
        "jobs": sections.rows(found, "jobs"),
        "deliveries": sections.facts(found, "deliveries"),
        "rollup": sections.facts(found, "rollup"),
        "performance": sections.facts(found, "performance"),
        "orders": sections.facts(found, "orders"),
        "rejects": sections.rows(found, "rejects"),
        "most_rejects": limit.rejects_per_hour,
        "checks": sections.rows(found, "checks"),
        "retention": sections.facts(found, "retention"),
        "plots": plots.plots(points, settings.OPERATIONS_SAMPLE_SECONDS),
        **_headline(problems(found, limit)),
    }


def _headline(found: list[Problem], none: str = "All is well") -> dict[str, Any]:
    return {
        "problems": found[:MOST_PROBLEMS],
        "more_problems": max(0, len(found) - MOST_PROBLEMS),
        "headline": words.many(len(found), "problem") if found else none,
        "critical": any(each.severity == "critical" for each in found),
    }


def _processes(found: Sample, now: float) -> list[dict[str, Any]]:
    ours = version()
    late = SILENT_BEATS * settings.CONSUMER_HEALTH_SECONDS
    return [
        {
            **each,
            "is": words.age_of_version(str(each["version"]), ours),
            "silent_seconds": max(0.0, now - each["beaten_at"]),
            # What it was when the sample was taken: an old sample makes nobody silent.
            "silent": found["at"] - each["beaten_at"] > late,
        }
        for each in sections.rows(found, "processes")
    ]


def _consumers(found: Sample) -> list[Row]:
    """Those heard of, what they say made readable, and of the others the command that starts it."""
    if sections.failure(found, "consumers"):
        return []
    heard = [{**each, "says": _said(each)} for each in running(found)]
    silent = set(consumer_names()) - {each["name"] for each in heard}
    rows = [*heard, *(not_running(name) for name in silent)]
    return sorted(rows, key=lambda each: (each["name"], str(each.get("host")), each.get("pid", 0)))


def _said(consumer: Row) -> list[tuple[str, Any, datetime | None]]:
    """Word, text, and the instant that the text is."""
    return [(word, text, words.moment(text)) for word, text in consumer.get("says") or ()]
