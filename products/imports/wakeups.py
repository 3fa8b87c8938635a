"""Wakes a worker for imports once the current transaction commits."""

from config.jobs.wakeups import wake


def advance(job_id: int) -> None:
    """Have a worker move the import on."""
    wake("products.tasks.advance_import", job_id)


def analyze_catalogue() -> None:
    """Have a worker refresh the planner's statistics (else autovacuum does, later)."""
    wake("products.tasks.analyze_catalogue")
