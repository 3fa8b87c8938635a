"""How many of what: the figures of a run."""

from typing import Any, Dict


class Counts:
    """At the end events = applied + stale + all refused + never_created."""

    def __init__(self) -> None:
        self.lines = 0
        self.blank = 0
        self.comments = 0
        self.applied = 0
        self.stale = 0
        self.refused: Dict[str, int] = {}
        self.never_created = 0
        self.waited = 0  # decided later than they came, when their product was created
        self.waiting = 0  # now
        self.update_product = 0
        self.end_product = 0
        self.products = 0
        self.trees = 0

    def as_dict(self) -> Dict[str, Any]:
        """The counts as JSON has them."""
        return {
            "lines": self.lines,
            "blank": self.blank,
            "comments": self.comments,
            "events": self.lines - self.blank - self.comments,
            "applied": self.applied,
            "stale": self.stale,
            "refused": dict(sorted(self.refused.items())),
            "never_created": self.never_created,
            "waited": self.waited,
            "waiting": self.waiting,
            "commands": {"UpdateProduct": self.update_product, "EndProduct": self.end_product},
            "products": self.products,
            "trees": self.trees,
        }

    @classmethod
    def from_dict(cls, figures: Dict[str, Any]) -> "Counts":
        """The counts that `as_dict` told."""
        counts = cls()
        given = dict(figures)
        commands = given.pop("commands")
        del given["events"]
        counts.__dict__.update(given, refused=dict(given["refused"]))
        counts.update_product = commands["UpdateProduct"]
        counts.end_product = commands["EndProduct"]
        return counts
