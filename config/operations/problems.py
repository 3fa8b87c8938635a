"""What is wrong, found in a sample. Pure: the page and the leader that takes samples call it.

docs/operations.md says of each problem what it means and what to do.
"""

from collections.abc import Iterator

from . import process_problems, words, work_problems
from .limits import Limits
from .problem import Problem
from .sections import NOT_SAMPLED, SECTIONS, Sample, failure, gaps

RANK = {"critical": 0, "warning": 1}
DEFAULTS = Limits()
# An older web process takes samples without what is new; nothing is wrong with that.
KNOWN = ("", NOT_SAMPLED)


def problems(sample: Sample, limits: Limits = DEFAULTS) -> list[Problem]:
    """Each thing that is wrong once, the worst first, else in the order of the page.

    `sample` is what config.operations.sample.read() gives, or what the leader has just taken
    (then without `age_seconds`).
    """
    found = {problem.key: problem for rule in RULES for problem in rule(sample, limits)}
    return sorted(found.values(), key=lambda problem: RANK[problem.severity])


def _old(sample: Sample, limits: Limits) -> Iterator[Problem]:
    age = sample.get("age_seconds")
    if age is not None and age > limits.sample_age_seconds:
        yield Problem(
            "sample:old",
            "critical",
            f"No sample for {words.duration(age)}",
            "All below is that old. Web takes the samples: look for `operations` in its log, and"
            " whether Redis takes writes.",
        )


def _unknown(sample: Sample, limits: Limits) -> Iterator[Problem]:
    """What could not be looked at may be wrong too. One problem: mostly it has one cause."""
    reasons = {name: failure(sample, name) for name in SECTIONS}
    unknown = [(SECTIONS[name], why) for name, why in reasons.items() if why not in KNOWN]
    unknown += [(f"some {SECTIONS.get(name, name)}", why) for name, why in gaps(sample)]
    if unknown:
        names = list(dict.fromkeys(name for name, _ in unknown))
        why = words.listed(list(dict.fromkeys(why for _, why in unknown)))
        yield Problem(
            "unknown",
            "warning",
            f"Nobody knows just now: {words.listed(names, most=len(names))}",
            f"{why.rstrip('.')}. It is looked at again with the next sample.",
        )


RULES = (
    _old,
    process_problems.engines,
    process_problems.missing_processes,
    process_problems.consumers,
    work_problems.queues,
    work_problems.jobs,
    work_problems.deliveries,
    work_problems.rollup,
    work_problems.performance,
    work_problems.orders,
    work_problems.rejects,
    work_problems.checks,
    work_problems.retention,
    process_problems.versions,
    _unknown,
)
