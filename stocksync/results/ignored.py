"""Events that did not take effect: stale, refused, or of products that were never created."""

from django.db.models import Q, QuerySet

from stocksync.models import SyncDecision, SyncJob, Verdict

from .runs import Run, run

KINDS = (Verdict.REFUSED, Verdict.NEVER_CREATED, Verdict.STALE)
EVENTS = 50
MOST_ORPHANS = 200  # shown of one product


def counts(job: SyncJob) -> dict[str, int]:
    """How many events of a job are of each kind, as the job has counted them so far."""
    counted = job.counts
    return {
        Verdict.REFUSED.value: sum(counted.get("refused", {}).values()),
        Verdict.NEVER_CREATED.value: counted.get("never_created", 0),
        Verdict.STALE.value: counted.get("stale", 0),
    }


def find(
    job: SyncJob,
    verdict: str,
    code: str = "",
    *,
    before: int | None = None,
    after: int | None = None,
    size: int = EVENTS,
) -> Run:
    """Decisions with this verdict (and, where given, this code of refusal), in their order."""
    rows = SyncDecision.objects.filter(job=job, verdict=verdict)
    if code:
        rows = rows.filter(code=code)
    return run(rows, "seq", before=before, after=after, size=size)


def orphans(job: SyncJob, product_id: int) -> list[SyncDecision]:
    """Events about a product that is in no tree, and creations that named it as their parent."""
    own = SyncDecision.objects.filter(job=job, root_id=None, product_id=product_id)
    children = SyncDecision.objects.filter(
        ~Q(product_id=product_id),
        job=job,
        verdict=Verdict.NEVER_CREATED,
        parent_id=product_id,
    )
    found = [*_first(own), *_first(children)]
    return sorted(found, key=lambda decision: decision.seq)[:MOST_ORPHANS]


def _first(rows: QuerySet[SyncDecision]) -> QuerySet[SyncDecision]:
    return rows.order_by("seq")[:MOST_ORPHANS]
