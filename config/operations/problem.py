"""What is wrong and what to do: found by problems.py, shown by the page, told by alerts. Pure."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["critical", "warning"]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong now."""

    key: str
    """The same for as long as it is the same problem: "engine:kafka", "endpoint:12:disabled"."""
    severity: Severity
    """`critical`: something is not done now or data may come late; `warning`: it soon may."""
    title: str
    """One line in users' words."""
    advice: str
    """What to do about it."""
    url: str = ""
    """The page that shows more, "" where there is none."""
