"""What a check gives back: findings with place and advice, a summary with numbers. Pure."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

MOST_KEPT = 1_000  # of one run; all are counted
PLACE_CHARACTERS, TEXT_CHARACTERS = 200, 1_000


class NotChecked(Exception):
    """Nothing can be said just now, which is no finding; `str()` says why and what to do."""


class Finding(NamedTuple):
    """One thing that is not as it must be. `url`: a page that shows more, "" for none."""

    place: str
    what: str
    advice: str
    url: str = ""

    def json(self) -> dict[str, Any]:
        return {
            "place": _kept(self.place, PLACE_CHARACTERS),
            "what": _kept(self.what, TEXT_CHARACTERS),
            "advice": _kept(self.advice, TEXT_CHARACTERS),
            "url": self.url,
        }


@dataclass
class Outcome:
    """What a check has looked at, in numbers and words, and what it has found there."""

    looked_at: int = 0  # 0: there was nothing
    summary: str = ""
    findings: list[Finding] = field(default_factory=list)  # the first MOST_KEPT
    found: int = 0  # all of them

    def add(self, place: str, what: str, advice: str, url: str = "") -> None:
        """One more finding."""
        self.count([Finding(place, what, advice, url)], 1)

    def count(self, findings: list[Finding], found: int) -> None:
        """`found` more of them, of which only some are told one by one."""
        self.found += found
        self.findings += findings[: max(0, MOST_KEPT - len(self.findings))]


def counted(number: int, one: str, many: str = "") -> str:
    """1 import, 2 imports, 2 copies."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _kept(text: str, characters: int) -> str:
    """As PostgreSQL takes it, and bounded."""
    text = text.replace("\0", "\\0")
    return text if len(text) <= characters else f"{text[: characters - 1]}…"
