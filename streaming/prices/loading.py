"""Step 1 of the specification: a CSV file of prices into Redis. Hosted by `load_prices`.

How far it is stands in Redis and changes with the histories, so it may be killed anywhere: the
next run goes on behind the last row that is in.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from . import placement, sources
from .price_file import FileError, Line, Position, PriceFile, Reading, Start, Survey
from .rows import Refusal, Row, from_cells
from .store import Batch, Refused, Store

logger = logging.getLogger(__name__)

PLACE = "csv"


class NotWanted(Exception):
    """The history has rows of something else, and nobody has said what shall become of them."""


@dataclass
class Tally:
    """What became of the rows of this run."""

    rows: int = 0
    added: int = 0
    repeated: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # by reason
    stocks: set[str] = field(default_factory=set)  # that have changed


class Load:
    """One run over one file. Methods raise FileError, redis.RedisError and Moved."""

    def __init__(self, store: Store, file: PriceFile, *, add: bool, replace: bool) -> None:
        """Finds out where to begin; with `replace` all histories are forgotten then.

        Raises NotWanted where the history came another way and neither `add` nor `replace` is set.
        """
        self.tally = Tally()
        self.cleared: int | None = None  # stocks that were forgotten
        self._store = store
        self._file = file
        if replace:
            self._survey = file.survey()
            self.start = file.beginning()
            self._expected: str | None = None
            self.cleared = store.clear(PLACE)
        else:
            positions = store.positions()
            self._expected = positions.get(PLACE)
            self._survey = file.survey(_position(self._expected), sources.known(store))
            self.start = self._survey.place or file.beginning()
            if not add:
                self._see_to_history(positions)
        self._reading: Reading = file.reading(self.start)

    @property
    def left_bytes(self) -> int:
        """0 where all of the file is in."""
        return self._file.size - self.start.bytes

    def run(self, batch: int, ended: Callable[[], bool], told: Callable[[int], object]) -> bool:
        """Apply the rest of the file; False where the end was asked for before.

        `batch`: rows of one change of Redis. `told` hears how many bytes each has brought.
        """
        # Every line is a step of its own, so that not more than a batch is in memory.
        rows: list[tuple[int, Row, bytes]] = []
        refused: list[Refused] = []
        for line in self._reading:
            row = read(line, self._survey)
            if isinstance(row, Row):
                rows.append((line.row, row, line.raw))
            else:
                refused.append(Refused(line.row, *row, line.raw))
            # What the file's hash has not confirmed waits for the end.
            if len(rows) + len(refused) >= batch and self._reading.bytes < self._file.size:
                told(self._apply(rows, refused))
                rows, refused = [], []
                if ended():
                    break
        at = self._reading.position()
        if at.bytes < self._file.size:
            return False
        if at.sha256 != self._survey.sha256:
            raise FileError(
                f"{self._file.path} was changed while it was read: the rows up to row"
                f" {at.rows - len(rows) - len(refused):,} are in, the others are not."
            )
        told(self._apply(rows, refused))
        return True

    def _apply(self, rows: list[tuple[int, Row, bytes]], refused: list[Refused]) -> int:
        at = self._reading.position()
        before = self.start
        if at.bytes == before.bytes:
            return 0
        applied = self._store.apply(Batch(PLACE, self._expected, at.text(), rows, refused))
        self._expected = at.text()
        self.start = Start(at.bytes, at.rows, before.lines, before.sha256)
        tally = self.tally
        tally.rows = tally.rows + len(rows) + len(refused)
        tally.added += applied.added
        tally.repeated += applied.repeated
        tally.refused.update(each.reason for each in refused)
        if applied.refused > len(refused):
            tally.refused["not_a_stock"] += applied.refused - len(refused)
        tally.stocks |= applied.stocks
        return at.bytes - before.bytes

    def _see_to_history(self, positions: dict[str, str]) -> None:
        if self._survey.place is None and PLACE in positions:
            raise NotWanted(
                f"{self._file.path} is another file than the one that was loaded before, or its"
                " beginning was changed. `--add` adds its rows to the histories, as those of"
                " another day; `--replace` forgets the histories of all stocks and begins anew."
            )
        if self.left_bytes and any(place.startswith(placement.PREFIX) for place in positions):
            behind = f" behind row {self.start.rows:,}" if self.start.rows else ""
            raise NotWanted(
                "There are rows that came by Kafka. `--add` adds those of this file"
                f"{behind}, except what came of it by Kafka; `--replace` forgets the histories of"
                " all stocks and begins anew."
            )


def read(line: Line, survey: Survey) -> Row | Refusal:
    """The row of a line with its source and number; a refusal says which line of the file it is."""
    found = line.cells if isinstance(line.cells, Refusal) else from_cells(*line.cells)
    if isinstance(found, Refusal):
        return Refusal(found.reason, f"line {line.number}: {found.detail}")
    return Row(*found[:3], survey.source(line), line.row)


def _position(text: str | None) -> Position | None:
    try:
        return None if text is None else Position.parse(text)
    except ValueError:
        logger.warning("position %s of %s is not one of load_prices", json.dumps(text), PLACE)
        return None
