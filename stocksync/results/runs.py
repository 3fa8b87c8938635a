"""Keyset runs of a list that goes upwards: as quick at its end as at its begin."""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet


@dataclass(frozen=True)
class Run:
    """Some rows of a longer list, and where its neighbours begin."""

    rows: list[Any]
    before: int | None  # to pass as `before` for the run before this one, None at the begin
    after: int | None  # to pass as `after` for the next run, None at the end


def run(
    rows: QuerySet[Any],
    column: str,
    *,
    before: int | None = None,
    after: int | None = None,
    size: int = 50,
) -> Run:
    """The `size` rows whose `column` (unique among them) is above `after`, or next below `before`.

    Near the begin a full first run is shown instead of a short one.
    """
    if before is not None:
        found = list(rows.filter(**{f"{column}__lt": before}).order_by(f"-{column}")[: size + 1])
        if len(found) <= size:
            return run(rows, column, size=size)
        shown = found[:size][::-1]
        return Run(shown, getattr(shown[0], column), getattr(shown[-1], column))
    filtered = rows if after is None else rows.filter(**{f"{column}__gt": after})
    found = list(filtered.order_by(column)[: size + 1])
    shown = found[:size]
    return Run(
        shown,
        getattr(shown[0], column) if shown and after is not None else None,
        getattr(shown[-1], column) if len(found) > size else None,
    )
