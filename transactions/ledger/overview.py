"""All that the ledger's page and its API show, of one moment. Called by views and api."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from redis.exceptions import RedisError

from . import board, chart, queries
from .engine import tables
from .instances import Instance, instances, leader
from .queries import Leader, Provider, Reconciliation, Run

HOUR = timedelta(hours=1)
LOOK_BACK = HOUR + timedelta(minutes=2)


@dataclass(frozen=True)
class Books:
    """What the database says. With `unready` or without `begun` there is nothing else."""

    unready: str = ""  # why the tables of the specification can't be used
    begun: bool = False  # whether an instance has ever made its tables
    providers: int = 0
    transactions: int = 0
    minute: datetime | None = None  # the last one that KeyDB got
    written_at: datetime | None = None
    rows: list[Provider] = field(default_factory=list)
    more: bool = False
    curves: dict[int, list[tuple[datetime, Decimal]]] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)  # of the last hour
    first_run: datetime | None = None
    rejects: int = 0
    rejected_at: datetime | None = None
    reconciliation: Reconciliation | None = None
    leader: Leader | None = None

    @property
    def last_run(self) -> Run | None:
        """The newest of the last hour."""
        return self.runs[-1] if self.runs else None

    def lateness(self, now: datetime) -> chart.Lateness:
        """The last 60 minutes."""
        return chart.lateness(self.runs, self.first_run, now)


@dataclass(frozen=True)
class Team:
    """The instances; None where nobody knows, since Redis is away."""

    instances: list[Instance] | None

    @property
    def leader(self) -> Instance | None:
        return leader(self.instances or ())

    @property
    def waiting(self) -> list[Instance]:
        """Those that wait for something else than that the leader ends."""
        lead = self.leader
        return [
            each
            for each in self.instances or ()
            if each.waiting_for and not each.stale and (lead is None or each is lead)
        ]


def team() -> Team:
    """As the board has it."""
    try:
        return Team(instances(board.snapshots()))
    except RedisError:
        return Team(None)


def is_ready(cursor: Any) -> str:
    """Why the tables of the specification can't be used, "" where they can."""
    try:
        tables.adopt(cursor)
    except tables.Unready as error:
        return str(error)
    return ""


def books(cursor: Any, now: datetime, *, find: str = "", size: int = 100) -> Books:
    """Raises psycopg2.Error."""
    unready = is_ready(cursor)
    if unready:
        return Books(unready)
    there = queries.ours(cursor)
    if there != set(queries.OURS):
        return Books(leader=queries.leader(cursor))
    newest = queries.newest(cursor) or (None, None)
    rows = queries.providers(cursor, newest[0], find=find, size=size + 1)
    count, transactions = queries.totals(cursor)
    rejects, rejected_at = queries.rejected(cursor)
    return Books(
        begun=True,
        providers=count,
        transactions=transactions,
        minute=newest[0],
        written_at=newest[1],
        rows=rows[:size],
        more=len(rows) > size,
        curves=queries.curves(cursor, [each.id for each in rows[:size]], now - HOUR),
        runs=queries.runs_since(cursor, now - LOOK_BACK),
        first_run=queries.first_run(cursor),
        rejects=rejects,
        rejected_at=rejected_at,
        reconciliation=queries.reconciliation(cursor),
        leader=queries.leader(cursor),
    )
