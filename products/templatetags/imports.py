"""Words for imports in templates."""

from django import template

from products.models import Import, ImportState

register = template.Library()

TAGS = {
    ImportState.DONE: "",
    ImportState.FAILED: "bad",
    ImportState.CANCELLED: "off",
    ImportState.READY: "warn",
}


@register.filter
def state_tag(job: Import) -> str:
    """The CSS class of the state's tag."""
    if job.state == ImportState.DONE and job.rejected:
        return "warn"
    return TAGS.get(ImportState(job.state), "")


@register.filter
def percent(job: Import) -> int | None:
    """How far the present phase is, where that is known."""
    if job.state == ImportState.RECEIVING:
        done, whole = job.upload.offset, job.upload.size_bytes
    elif job.state == ImportState.READING:
        done, whole = job.read_bytes, job.upload.size_bytes
    elif job.state == ImportState.MERGING:
        done, whole = job.merged, job.rows - (job.duplicates or 0)
    else:
        return None
    return 100 * done // whole if whole else None


@register.filter
def took(job: Import) -> str:
    """From the file's last byte to the end, e.g. "14 s"; "–" while it runs."""
    if job.finished_at is None or job.received_at is None:
        return "–"
    seconds = (job.finished_at - max(job.received_at, job.created_at)).total_seconds()
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
