"""How times are said. For bench.orders."""

from collections.abc import Sequence
from statistics import quantiles


def percentiles(times: Sequence[float], *percents: int) -> list[float]:
    """So many percent were quicker; seconds."""
    if len(times) < 2:
        raise SystemExit("too few times were measured")
    parts = quantiles(times, n=100, method="inclusive")
    return [parts[percent - 1] for percent in percents]


def in_words(times: Sequence[float], *percents: int) -> str:
    """ "p50 3.1 ms, p99 14.0 ms, longest 15.2 ms (of 400)"; p50 and p99 unless told."""
    wanted = percents or (50, 99)
    found = [
        f"p{percent} {1000 * each:.1f} ms"
        for percent, each in zip(wanted, percentiles(times, *wanted), strict=True)
    ]
    return f"{', '.join(found)}, longest {1000 * max(times):.1f} ms (of {len(times):,})"
