"""One partition that this instance owns: its state, how far it has come, why it stands still."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .messages import Refusal
from .partition import Halt, Output, PartitionState

ADVICE = {
    "no_key": "Let producers use the StockCode as key, or copy the topic with `manage.py "
    "rekey_sales`; SALES_ACCEPT_KEYS=1 goes on with what is there.",
    "two_keys": "A StockCode in two partitions has two sums, both short. Copy the topic with "
    "`manage.py rekey_sales`; SALES_ACCEPT_KEYS=1 goes on with what is there.",
    "offset_past_end": "Decide where to begin, stop all instances, and set the group's offsets "
    "with `kafka-consumer-groups.sh --reset-offsets`.",
    "no_offset": "Stop all instances, and set the group's offsets with `kafka-consumer-groups.sh "
    "--reset-offsets`: `--to-datetime` or `--to-offset` where it had come to, `--to-earliest` to "
    "have all put out again.",
}


@dataclass
class Owned:
    """A partition between being taken over and being lost."""

    number: int
    state: PartitionState
    position: int  # the next offset to be taken
    live_from: int  # below it the state is rebuilt silently
    replay_from: int
    reached: int = 0  # past marks of transactions too, as of the last idle look
    halted: Halt | None = None
    notice: str = ""
    taken: list[tuple[Any, Output | Refusal]] = field(default_factory=list)

    @property
    def replaying(self) -> bool:
        """Whether the state is not complete yet."""
        return self.position < self.live_from

    @property
    def past_end(self) -> bool:
        """Whether it stands still because the topic ends before the group's offset."""
        return self.halted is not None and self.halted.reason == "offset_past_end"

    def stands_at(self, committed: int) -> bool:
        """Whether the state can go on from the group's offset `committed`."""
        if self.replaying:
            return self.live_from == committed
        return self.position == committed

    def take(self, records: Sequence[Any]) -> Halt | None:
        """Take `records`, which come next; what they lead to is in `taken`, which is to be emptied
        by the caller."""
        if self.replaying:
            cut = next(
                (i for i, record in enumerate(records) if record.offset >= self.live_from),
                len(records),
            )
            self.state.absorb(records[:cut])
            if cut:
                self.position = records[cut - 1].offset + 1
            records = records[cut:]
        if not records:
            return None
        outcomes, halt = self.state.take(records)
        if outcomes:
            self.taken = list(zip(records, outcomes, strict=False))
            self.position = records[len(outcomes) - 1].offset + 1
        return halt
