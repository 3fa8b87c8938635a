"""How the last run of each check ended."""

from collections.abc import Sequence
from typing import Any

from django.urls import reverse

from config.checks.models import CheckRun, CheckState
from config.checks.registry import ALL

Sample = dict[str, Any]
Row = dict[str, Any]
FIELDS = ("pk", "name", "state", "found", "finished_at")


def facts(before: Sample) -> list[Row]:
    """One row a check, `state` None where it has not run yet. Raises django.db.Error.

    `standing` is what the last run found that could look: one that could not takes nothing back.
    `unknown_since` is when that was (where none ever could, when the first has ended), None where
    the last run could.
    """
    last, judged = _newest(CheckRun.ENDED), _newest(CheckRun.JUDGED)
    rows = []
    for check in ALL:
        run = last.get(check.name)
        row: Row = {"name": check.name, "title": check.title, "state": None, "found": None}
        row |= {"finished_at": None, "url": reverse("checks"), "standing": 0, "standing_url": ""}
        row["unknown_since"] = None
        if run is not None:
            row |= {"state": run["state"], "found": run["found"]}
            row |= {"finished_at": _ended_at(run), "url": _page(run)}
            if run["state"] == CheckState.ERROR:
                row["unknown_since"] = _ended_at(judged.get(check.name) or _oldest(check.name))
        if check.name in judged:
            run = judged[check.name]
            row |= {"standing": run["found"], "standing_url": _page(run)}
        rows.append(row)
    return rows


def _newest(states: Sequence[str]) -> dict[str, Row]:
    runs = CheckRun.objects.filter(state__in=states).order_by("name", "-pk").distinct("name")
    return {run["name"]: dict(run) for run in runs.values(*FIELDS)}


def _oldest(name: str) -> Row:
    """The first that has ended, of those that are kept. There is one."""
    runs = CheckRun.objects.filter(name=name, state__in=CheckRun.ENDED).order_by("pk")
    return dict(runs.values(*FIELDS)[0])


def _ended_at(run: Row) -> float | None:
    at = run["finished_at"]
    return None if at is None else at.timestamp()


def _page(run: Row) -> str:
    return str(reverse("check", args=[run["pk"]]))
