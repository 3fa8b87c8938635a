"""When records that come at a rate are to be sent: for commands that send files. Pure."""

LEAST_WAIT_SECONDS = 0.005  # shorter waits add up until one is worth while
MOST_BEHIND_SECONDS = 1.0  # a longer delay is not made up for by sending faster


class Pace:
    """When each record is due: a schedule, so that the errors of single waits don't add up."""

    def __init__(self, rate: float | None) -> None:
        """`rate`: records a second, None for as fast as possible."""
        self._gap_seconds = 1 / rate if rate else 0.0
        self._due = float("-inf")

    def wait_seconds(self, now: float) -> float:
        """Count a record; how long to wait before it is sent. `now` is of a clock without jumps."""
        if now - self._due > MOST_BEHIND_SECONDS:
            self._due = now
        ahead = self._due - now
        self._due += self._gap_seconds
        return ahead if ahead >= LEAST_WAIT_SECONDS else 0.0
