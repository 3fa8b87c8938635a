"""What became of each event, for whoever asks why: kept on request only."""

from typing import List, NamedTuple, Optional, Tuple

from .rejects import text

APPLIED = "applied"
STALE = "stale"
REFUSED = "refused"


class Decision(NamedTuple):
    """What became of an event. What is not known of it is None, its `kind` then ""."""

    line: int
    at_line: int  # at whose position it was decided: another line where the event waited
    kind: str
    product_id: Optional[int]
    timestamp: Optional[int]
    stock: Optional[int]
    parent_id: Optional[int]
    root_id: Optional[int]  # the product's tree, where the product exists
    verdict: str  # applied, stale, refused or never_created
    code: str
    reason: str
    raw: str  # the line as given, where it was refused or its product never created
    commands: int
    output_offset: int  # bytes of output before its first command


class Trace:
    """Collects decisions in their order; `commands` is the list to which the rules append."""

    def __init__(self, commands: List[str]) -> None:
        self.decisions: List[Decision] = []
        self.offset = 0
        self._commands = commands
        self._seen = 0

    def decided(
        self,
        line: int,
        at_line: int,
        about: Tuple[str, Optional[int], Optional[int], Optional[int], Optional[int]],
        root_id: Optional[int],
        verdict: str,
        code: str = "",
        reason: str = "",
        raw: bytes = b"",
    ) -> None:
        """Whatever commands came since the last decision are this one's.

        `about`: an Event or as much of it as is Known.
        """
        caused = self._commands[self._seen :]
        kind, product_id, timestamp, stock, parent_id = about
        self.decisions.append(
            Decision(
                line=line,
                at_line=at_line,
                kind=kind,
                product_id=product_id,
                timestamp=timestamp,
                stock=stock,
                parent_id=parent_id,
                root_id=root_id,
                verdict=verdict,
                code=code,
                reason=reason,
                raw=text(raw),
                commands=len(caused),
                output_offset=self.offset,
            )
        )
        self._seen += len(caused)
        self.offset += sum(map(len, caused))

    def commands_taken(self) -> None:
        """The list of commands was emptied."""
        self._seen = 0
