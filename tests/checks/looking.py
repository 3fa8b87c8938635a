"""One check called as a worker calls it, without a run of its own."""

from config.checks import registry
from config.checks.findings import Outcome
from config.checks.watch import Watch

PATIENCE_SECONDS = 300.0


def look(name: str) -> Outcome:
    """What the check finds now. Raises NotChecked."""
    return registry.BY_NAME[name].run(Watch(PATIENCE_SECONDS))


def told(outcome: Outcome) -> list[str]:
    """The findings in words, place first."""
    assert len(outcome.findings) == outcome.found
    assert all(each.advice for each in outcome.findings)
    return [f"{each.place}: {each.what}" for each in outcome.findings]
