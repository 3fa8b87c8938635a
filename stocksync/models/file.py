"""Files as rows, since web and worker share no disk: a job's events, commands and rejects."""

import uuid

from django.db import models
from django.db.models.functions import Now


class StoredFile(models.Model):
    """A file that grows at its end. `size_bytes` counts what is stored."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=255)
    size_bytes = models.BigIntegerField(default=0, db_default=0)
    created_at = models.DateTimeField(db_default=Now())
    # Set when the blocks are gone; nothing can be read from this file any more.
    purged_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.id})"


class FileBlock(models.Model):
    """A run of a file's bytes that begins at `offset`. Blocks are gapless."""

    # No index of its own: the unique one serves.
    file = models.ForeignKey(StoredFile, models.CASCADE, related_name="blocks", db_index=False)
    offset = models.BigIntegerField()
    size_bytes = models.IntegerField()
    data = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["file", "offset"], name="stocksync_fileblock_key")
        ]

    def __str__(self) -> str:
        return f"{self.file_id}@{self.offset}"
