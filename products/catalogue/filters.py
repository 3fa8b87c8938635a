"""Which products are meant: of a page, a bulk change, an export. Parsed once, here."""

from dataclasses import dataclass
from typing import Self

from django.http import QueryDict

STATES = {"active": True, "inactive": False}
MAX_SEARCH_CHARACTERS = 200


def clean_search(text: str) -> str:
    """`text` as it is searched for: one space between words, none around them, bounded.

    PostgreSQL knows no NUL; it separates words like a space.
    """
    return " ".join(text.replace("\0", " ").split())[:MAX_SEARCH_CHARACTERS].rstrip()


@dataclass(frozen=True)
class Filter:
    """Products that match `search` (all its words) and are active, inactive, or either (None)."""

    search: str = ""
    active: bool | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "search", clean_search(self.search))

    @classmethod
    def from_query(cls, query: QueryDict) -> Self:
        """From a page's `q` and `state`; an unknown state is none, anything else is ignored."""
        return cls(query.get("q", ""), STATES.get(query.get("state", "")))

    def query(self) -> dict[str, str]:
        """The same as parameters of an address, without what is not limited."""
        given = {"q": self.search, "state": self.state}
        return {name: value for name, value in given.items() if value}

    @property
    def state(self) -> str:
        """ "active", "inactive", or "" for both."""
        return {True: "active", False: "inactive", None: ""}[self.active]

    @property
    def everything(self) -> bool:
        """Whether no product is left out."""
        return not self.search and self.active is None

    def words(self) -> str:
        """For sentences: 'matching “song”, active'; 'all' when nothing is left out."""
        parts = [f"matching “{self.search}”"] if self.search else []
        return ", ".join([*parts, *([self.state] if self.state else [])]) or "all"
