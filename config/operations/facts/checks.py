"""How the last run of each check ended."""

from typing import Any

from django.urls import reverse

from config.checks.models import CheckRun
from config.checks.registry import ALL

Sample = dict[str, Any]
FIELDS = ("pk", "name", "state", "found", "finished_at")


def facts(before: Sample) -> list[dict[str, Any]]:
    """One row a check, `state` None where it has not run yet. Raises django.db.Error."""
    ended = CheckRun.objects.filter(state__in=CheckRun.ENDED).order_by("name", "-pk")
    last = {run["name"]: run for run in ended.distinct("name").values(*FIELDS)}
    rows = []
    for check in ALL:
        run = last.get(check.name)
        row = {"name": check.name, "title": check.title, "state": None, "found": None}
        row |= {"finished_at": None, "url": reverse("checks")}
        if run is not None:
            at = run["finished_at"]
            row |= {"state": run["state"], "found": run["found"]}
            row |= {"finished_at": at and at.timestamp(), "url": reverse("check", args=[run["pk"]])}
        rows.append(row)
    return rows
