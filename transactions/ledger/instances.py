"""The instances of `ledger`, made of the snapshots that they put on the board. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

STALE_SECONDS = 7.0  # two renewals are missing


@dataclass(frozen=True)
class Instance:
    """One process; the fields after `stale` are those of LedgerConsumer.health."""

    instance: str
    host: str
    pid: int
    age_seconds: float
    stale: bool
    leads: bool
    waiting_for: str | None
    rate: float  # messages a second
    rows: int
    repeated: int
    rejected: int
    last_batch: int | None
    last_batch_at: str | None

    @property
    def state(self) -> str:
        """silent, leading or waiting."""
        if self.stale:
            return "silent"
        return "leading" if self.leads and not self.waiting_for else "waiting"


def instances(snapshots: Iterable[Mapping[str, Any]]) -> list[Instance]:
    """The one that leads comes first."""
    found = [_instance(each) for each in snapshots]
    return sorted(found, key=lambda each: (not each.leads, each.stale, each.instance))


def leader(among: Iterable[Instance]) -> Instance | None:
    """That which has said so last; None where nobody says so."""
    leading = [each for each in among if each.leads and not each.stale]
    return min(leading, key=lambda each: each.age_seconds, default=None)


def _instance(snapshot: Mapping[str, Any]) -> Instance:
    age = float(snapshot["age_seconds"])
    return Instance(
        instance=snapshot["instance"],
        host=snapshot.get("host", ""),
        pid=int(snapshot.get("pid", 0)),
        age_seconds=age,
        stale=age > STALE_SECONDS,
        leads=bool(snapshot.get("leads")),
        waiting_for=snapshot.get("waiting_for"),
        rate=float(snapshot.get("rate") or 0.0),
        rows=int(snapshot.get("rows") or 0),
        repeated=int(snapshot.get("repeated") or 0),
        rejected=int(snapshot.get("rejected") or 0),
        last_batch=snapshot.get("last_batch"),
        last_batch_at=snapshot.get("last_batch_at"),
    )
