"""A file on its way in: bytes as rows, since web and worker share no disk."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class Upload(models.Model):
    """A file received in pieces (tus 1.0). `offset` counts the bytes stored so far."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="uploads"
    )
    created_at = models.DateTimeField(db_default=Now())
    file_name = models.CharField(max_length=255)
    size_bytes = models.BigIntegerField()
    offset = models.BigIntegerField(default=0, db_default=0)
    # Grows with each request that writes or asks for the offset: an older request, cut
    # but still being drained, must not move the offset after it was told.
    writer = models.IntegerField(default=0, db_default=0)
    writing = models.BooleanField(default=False, db_default=False)
    # Name, size, modification time and hash of both ends, made by the page: the
    # same file chosen again finds its upload and goes on.
    fingerprint = models.CharField(max_length=255, blank=True, default="")
    metadata = models.JSONField(default=dict)
    expires_at = models.DateTimeField()
    completed_at = models.DateTimeField(null=True)
    # Set when the blocks are gone; nothing can be read from this upload any more.
    purged_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["created_by", "fingerprint"], name="products_upload_resume"),
            models.Index(
                fields=["expires_at"],
                name="products_upload_expiry",
                condition=models.Q(purged_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.file_name} ({self.id})"


class UploadBlock(models.Model):
    """A run of an upload's bytes that begins at `offset`. Blocks are gapless."""

    upload = models.ForeignKey(Upload, models.CASCADE, related_name="blocks", db_index=False)
    offset = models.BigIntegerField()
    size_bytes = models.IntegerField()
    data = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["upload", "offset"], name="products_uploadblock_key")
        ]

    def __str__(self) -> str:
        return f"{self.upload_id}@{self.offset}"
