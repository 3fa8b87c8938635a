"""What a look at the sums from scratch has found, as numbers, JSON and lines to read. Pure."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from .engine import amounts

# In the database and on the terminal; all are counted.
MOST_KEPT = 1_000
MOST_SHOWN = 50
MOST_IDS = 12


class TotalDrift(NamedTuple):
    """A provider whose balance, kept up by adding, is not what its transactions make."""

    provider: int
    key: str
    kept: Decimal
    right: Decimal
    kept_transactions: int
    right_transactions: int


class KeyDrift(NamedTuple):
    """A key of KeyDB that does not hold what was written."""

    key: str
    found: str | None
    right: str


class Repeats(NamedTuple):
    """The sample rows that the specification's producer inserts again at each of its starts."""

    providers: list[tuple[str, list[int]]]  # of one name: their ids
    transactions: list[list[int]]  # ids of the three rows, each time but the first


class Report(NamedTuple):
    """All that was found. What no minute was written of, or not compared, has no `minute`."""

    transactions: int
    providers: int
    without_provider: int
    totals: list[TotalDrift]
    lost_ids: int  # free ids at which nobody looks any more
    double_ids: int  # ids at which is looked twice
    minute: datetime | None
    keydb: list[KeyDrift]
    keydb_failure: str
    repeats: Repeats

    @property
    def sums_drift(self) -> bool:
        """Whether what Postgres keeps is to be repaired."""
        return bool(self.totals or self.lost_ids or self.double_ids)

    @property
    def drifts(self) -> int:
        """How many things are not as they should be."""
        ranges = bool(self.lost_ids) + bool(self.double_ids)
        return len(self.totals) + len(self.keydb) + ranges

    def json(self) -> dict[str, Any]:
        """What is kept of it; the form is told in schema.sql."""
        return {
            "totals": [
                {
                    **each._asdict(),
                    "kept": amounts.text(each.kept),
                    "right": amounts.text(each.right),
                }
                for each in self.totals[:MOST_KEPT]
            ],
            "keydb": [each._asdict() for each in self.keydb[:MOST_KEPT]],
            "minute": self.minute and self.minute.isoformat(),
            "lost_ids": self.lost_ids,
            "double_ids": self.double_ids,
            "repeated_providers": [
                {"name": name, "ids": ids[:MOST_KEPT]}
                for name, ids in self.repeats.providers[:MOST_KEPT]
            ],
            "repeated_transactions": self.repeats.transactions[:MOST_KEPT],
            "notes": self.notes(),
        }

    def notes(self) -> list[str]:
        """What else should be known."""
        notes = []
        if self.keydb_failure:
            notes.append(f"KeyDB was not compared: {self.keydb_failure}")
        elif self.minute is None:
            notes.append("KeyDB was not compared: no minute has been written yet.")
        if self.without_provider:
            notes.append(
                f"{plural(self.without_provider, 'transaction')} of no provider in initial_data:"
                " in no balance."
            )
        return notes

    def repeated(self) -> list[str]:
        """Which sample rows are there more than once."""
        said = [
            f"Providers of the same name, {name}: ids {listed(ids)}."
            for name, ids in self.repeats.providers
        ]
        if blocks := self.repeats.transactions:
            said.append(
                "The producer's three sample transactions were inserted again"
                f" {plural(len(blocks), 'time')}: ids {listed(blocks)}."
            )
        return said

    def lines(self) -> list[str]:
        """For the terminal."""
        lines = [
            f"{plural(self.transactions, 'transaction')} of"
            f" {plural(self.providers, 'provider')}, added up from scratch."
        ]
        if self.totals:
            lines += [
                "",
                f"{plural(len(self.totals), 'balance')} in PostgreSQL:",
                *table(
                    ("key", "kept", "right", "transactions kept", "right"),
                    [
                        (
                            *(each.key, amounts.text(each.kept), amounts.text(each.right)),
                            *(str(each.kept_transactions), str(each.right_transactions)),
                        )
                        for each in self.totals[:MOST_SHOWN]
                    ],
                    len(self.totals),
                ),
            ]
        if self.lost_ids:
            lines += [
                "",
                f"{plural(self.lost_ids, 'free id')} at which nobody looks any more: a transaction"
                " there would be in no balance.",
            ]
        if self.double_ids:
            lines += ["", f"{plural(self.double_ids, 'id')} would be added up twice."]
        if self.keydb and self.minute:
            lines += [
                "",
                f"{plural(len(self.keydb), 'key')} in KeyDB, written at"
                f" {self.minute:%Y-%m-%d %H:%M} UTC:",
                *table(
                    ("key", "found", "written"),
                    [
                        (each.key, "–" if each.found is None else each.found[:100], each.right)
                        for each in self.keydb[:MOST_SHOWN]
                    ],
                    len(self.keydb),
                ),
            ]
        notes = [*self.notes(), *self.repeated()]
        return [*lines, *(["", *notes] if notes else [])]


def table(heading: Sequence[str], rows: Sequence[Sequence[str]], count: int) -> list[str]:
    """The rows below their heading, numbers to the right; `count` of them there are in all."""
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
    lines = []
    for row in (heading, *rows):
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        cells[0] = row[0].ljust(widths[0])
        lines.append("  " + "  ".join(cells).rstrip())
    return [*lines, f"  and {count - len(rows):,} more"] if count > len(rows) else lines


def listed(ids: Sequence[Any]) -> str:
    """The first of them: 1, 3, 5 or [4, 5, 6], [7, 8, 9]."""
    text = ", ".join(map(str, ids[:MOST_IDS]))
    return f"{text} and {len(ids) - MOST_IDS:,} more" if len(ids) > MOST_IDS else text


def plural(count: int, noun: str) -> str:
    """1 key, 2 keys."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
