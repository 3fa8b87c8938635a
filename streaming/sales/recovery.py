"""Where a partition that is taken over is read from. Pure: offsets in, a plan out."""

from typing import NamedTuple

from .checkpoint import Checkpoint


class Plan(NamedTuple):
    """Read from `seek_to`, silently below `live_from`, with outputs from there on.

    Where nothing was ever committed everything is new. `by_time`: the committed text doesn't say
    where the window begins, so look for an offset by time and put it into `seek_to`, which is
    `live_from` so far.
    """

    seek_to: int
    live_from: int
    start: Checkpoint | None = None
    by_time: bool = False
    notice: str = ""


class Impossible(NamedTuple):
    """Nothing sensible can be read; an operator has to decide."""

    offset: int
    reason: str
    detail: str


def plan(
    committed: tuple[int, str] | None,
    first: int,
    end: int,
    kept_seconds: float,
    *,
    put_out: bool = False,
) -> Plan | Impossible:
    """What to do with a partition whose records are `first` to below `end`.

    `committed` is the group's next offset and the text beside it, `kept_seconds` how far the state
    has to reach back behind the watermark (window + lateness). `put_out`: nothing is committed, but
    there are outputs of these records.
    """
    if committed is None:
        if not put_out:
            return Plan(first, first)
        return Impossible(
            first,
            "no_offset",
            "the group has no position here, but the output topic has results of these sales: from "
            f"offset {first} on they would be put out a second time. Its offsets have expired "
            "(offsets.retention.minutes) or were deleted, or the group or its input topic is "
            "another one than before",
        )
    offset, text = committed
    if offset > end:
        return Impossible(
            offset,
            "offset_past_end",
            f"the group has read up to offset {offset}, but the topic ends at {end}: it was made "
            "anew, or lost records",
        )
    live_from, notice = offset, ""
    if offset < first:
        live_from = first
        notice = (
            f"offsets {offset} to {first - 1} were deleted by the topic's retention before they "
            f"were read: {first - offset} are lost"
        )
    checkpoint = Checkpoint.decode(text)
    if (
        checkpoint is None
        or checkpoint.kept_seconds < kept_seconds
        or checkpoint.replay_from > offset
    ):
        return Plan(live_from, live_from, by_time=True, notice=notice)
    if checkpoint.replay_from < first:
        notice += "; " if notice else ""
        notice += (
            f"the window begins at offset {checkpoint.replay_from}, but retention has deleted all "
            f"below {first}: sums may be short until one window has passed"
        )
    return Plan(max(checkpoint.replay_from, first), live_from, checkpoint, notice=notice)
