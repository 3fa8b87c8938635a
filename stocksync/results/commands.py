"""The commands of a job, read from its output by byte offset, with the events that caused them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from stocksync.jobs import files
from stocksync.models import SyncDecision, SyncJob

from . import words
from .file_lines import FileLines

COMMANDS = 100
# {"type": "UpdateProduct", "id": …, "stock": …} with two numbers of 19 digits, and its end.
LONGEST_LINE = 88
SHOWN_OF_EVENT = 5
SUMMARY = b'{"type": "StockSummary"'
NEAR_BYTES = 32 * 1024  # what is nearer than this is read at once


@dataclass(frozen=True)
class Command:
    """A line of the output."""

    offset: int
    product_id: int
    stock: int | None  # None: the product is ended
    text: str  # in words
    cause: SyncDecision | None = None


@dataclass(frozen=True)
class Page:
    """Some commands of a job, and the offsets at which its neighbours begin."""

    rows: list[Command]
    before: int | None
    after: int | None


def page(job: SyncJob, at: int | None = 0, *, size: int = COMMANDS) -> Page:
    """The commands from byte `at` on, or from the next line's begin; None: the last ones.

    Raises files.FileGone.
    """
    lines = FileLines(
        job.output_id, files.size(job.output_id), (size + 1) * LONGEST_LINE, LONGEST_LINE
    )
    start = None if at is None else lines.begin(at)
    every = [] if start is None else _commands(lines.following(start))
    if start is None or (start and not every):  # the summary alone is behind it
        start = lines.back(_end_of_commands(job, lines.size), size)
        every = _commands(lines.following(start))
    return Page(
        _with_causes(job, every[:size]),
        before=lines.back(start, size) if start else None,
        after=every[size].offset if len(every) > size else None,
    )


def of_events(
    job: SyncJob, decisions: Iterable[SyncDecision], *, most: int = SHOWN_OF_EVENT
) -> dict[int, list[Command]]:
    """The first commands that each event caused, by its `seq`. Raises files.FileGone."""
    causes = sorted((each for each in decisions if each.commands), key=lambda each: each.seq)
    found: dict[int, list[Command]] = {}
    whole = files.size(job.output_id)
    group: list[SyncDecision] = []
    for each in [*causes, None]:
        if each is None or (group and each.output_offset - group[0].output_offset > NEAR_BYTES):
            found |= _of_near_events(job, group, most, whole)
            group = []
        if each is not None:
            group.append(each)
    return found


def _of_near_events(
    job: SyncJob, group: list[SyncDecision], most: int, whole: int
) -> dict[int, list[Command]]:
    if not group:
        return {}
    found = {}
    start = group[0].output_offset
    end = min(whole, group[-1].output_offset + most * LONGEST_LINE)
    data = files.read(job.output_id, start, end)
    for each in group:
        offset = each.output_offset - start
        lines = data[offset : offset + most * LONGEST_LINE].split(b"\n")[:-1]
        found[each.seq] = _commands([(0, line) for line in lines[: min(most, each.commands)]])
    return found


def _commands(lines: Iterable[tuple[int, bytes]]) -> list[Command]:
    """Lines with their offsets as commands, as far as the summary."""
    found = []
    for offset, line in lines:
        if line.startswith(SUMMARY):
            break
        command: dict[str, Any] = json.loads(line)
        found.append(
            Command(offset, command["id"], command.get("stock"), words.of_command(command))
        )
    return found


def _end_of_commands(job: SyncJob, whole: int) -> int:
    """Where the StockSummary begins, which is one line however many products there are."""
    end = whole - 1
    while end > 0:
        start = max(0, end - files.BLOCK_BYTES)
        found = files.read(job.output_id, start, end).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _with_causes(job: SyncJob, rows: list[Command]) -> list[Command]:
    if not rows or not job.traced:
        return rows
    first, last = _cause_at(job, rows[0].offset), _cause_at(job, rows[-1].offset)
    decisions = SyncDecision.objects.filter(job=job, seq__range=(first, last), commands__gt=0)
    causes = list(decisions.order_by("seq")[: len(rows)])
    found, place = [], 0
    for row in rows:
        while place + 1 < len(causes) and causes[place + 1].output_offset <= row.offset:
            place += 1
        cause = causes[place] if causes else None
        found.append(replace(row, cause=cause))
    return found


def _cause_at(job: SyncJob, offset: int) -> int:
    """The `seq` of the event whose commands are at `offset`: the last that begins there or before.

    By halves: `output_offset` grows with `seq`, but has no index.
    """
    low, high = 1, max(1, job.decisions)
    while low < high:
        middle = (low + high + 1) // 2
        begins = SyncDecision.objects.filter(job=job, seq=middle)
        begin = begins.values_list("output_offset", flat=True).first()
        if begin is not None and begin <= offset:
            low = middle
        else:
            high = middle - 1
    return low
