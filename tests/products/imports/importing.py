"""Drives an import in the test's own process: the same calls as Celery and the command make."""

from products.imports import pipeline, uploads
from products.imports.uploads import ImportOptions
from products.models import Import, Product

HEADER = b"name,sku,description\r\n"


def upload(user, data: bytes, *, name: str = "products.csv", piece: int = 1 << 20, **options):
    """An import whose upload is complete, nothing of it read so far."""
    job = uploads.create(user, name, len(data), ImportOptions(**options))
    append(job, data, piece=piece)
    return job


def append(job: Import, data: bytes, *, piece: int = 1 << 20) -> None:
    """The next bytes of the import's file."""
    turn = uploads.take_turn(job.upload_id)
    for offset in range(0, len(data), piece):
        turn = uploads.append(turn, data[offset : offset + piece])


def run(job: Import) -> Import:
    """Advance until nothing is left to do; returns the import as it is then."""
    while pipeline.advance(job.pk):
        pass
    job.refresh_from_db()
    return job


def import_bytes(user, data: bytes, **options) -> Import:
    return run(upload(user, data, **options))


def catalogue() -> dict[str, tuple]:
    """The catalogue by lower-case SKU: (sku, name, description, active)."""
    return {
        sku.lower(): (sku, name, description, active)
        for sku, name, description, active in Product.objects.values_list(
            "sku", "name", "description", "active"
        )
    }


def counts(job: Import) -> dict[str, int]:
    return {
        name: getattr(job, name)
        for name in ("rows", "rejected", "duplicates", "created", "updated", "unchanged")
    }
