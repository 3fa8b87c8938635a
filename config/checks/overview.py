"""The table of checks with the last outcome of each: for page and API."""

from dataclasses import dataclass

from .models import CheckRun
from .registry import ALL, Check
from .running import open_runs


@dataclass(frozen=True)
class Row:
    """A check: the run that is under way, and the last that has ended."""

    check: Check
    now: CheckRun | None
    last: CheckRun | None


def rows() -> list[Row]:
    """All checks in the registry's order, by two queries; findings are not read."""
    seen = CheckRun.objects.select_related("created_by").defer("findings")
    now = {run.name: run for run in open_runs().select_related("created_by").defer("findings")}
    ended = seen.filter(state__in=CheckRun.ENDED).order_by("name", "-pk").distinct("name")
    last = {run.name: run for run in ended}
    return [Row(check, now.get(check.name), last.get(check.name)) for check in ALL]
