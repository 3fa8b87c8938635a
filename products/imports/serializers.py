"""REST shapes of imports."""

from rest_framework import serializers
from rest_framework.reverse import reverse

from config.api_input import Choice, Query, Strict, TrueFalse, TrueFalseWord
from products.models import Import, ImportReject, ImportState, Upload

from .progress import channel, snapshot
from .uploads import ENCODINGS

FINGERPRINT_CHARACTERS = 255


class RecentRejectSerializer(serializers.Serializer):
    line = serializers.IntegerField()
    column = serializers.CharField(allow_blank=True)
    reason = serializers.CharField()
    raw = serializers.CharField(allow_blank=True)


class ImportSerializer(serializers.Serializer):
    """An import as `progress.snapshot` tells it."""

    id = serializers.IntegerField()
    url = serializers.URLField()
    events_url = serializers.URLField(help_text="Its live stream (server-sent events).")
    state = serializers.ChoiceField(ImportState.choices)
    state_label = serializers.CharField()
    ended = serializers.BooleanField()
    error = serializers.CharField(allow_blank=True)
    cancel_requested = serializers.BooleanField()
    waits_for = serializers.IntegerField(allow_null=True)
    file_name = serializers.CharField()
    size_bytes = serializers.IntegerField()
    received_bytes = serializers.IntegerField()
    read_bytes = serializers.IntegerField()
    encoding = serializers.ChoiceField(list(ENCODINGS.items()))
    new_products_active = serializers.BooleanField()
    check_first = serializers.BooleanField()
    ignored_columns = serializers.ListField(child=serializers.CharField())
    rows = serializers.IntegerField(help_text="Rows read, rejected ones included.")
    rejected = serializers.IntegerField()
    undecodable = serializers.IntegerField()
    duplicates = serializers.IntegerField(allow_null=True)
    to_merge = serializers.IntegerField(allow_null=True)
    checked = serializers.IntegerField()
    would_create = serializers.IntegerField()
    would_update = serializers.IntegerField()
    would_keep = serializers.IntegerField()
    merged = serializers.IntegerField()
    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    idle_seconds = serializers.FloatField(help_text="Since the last bytes of the file came.")
    silent_seconds = serializers.FloatField(help_text="Since its worker's last sign of life.")
    per_second = serializers.FloatField(allow_null=True)
    seconds_left = serializers.FloatField(allow_null=True)
    file_kept = serializers.BooleanField()
    created_by = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()
    received_at = serializers.DateTimeField(allow_null=True)
    read_at = serializers.DateTimeField(allow_null=True)
    merge_started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    recent_rejects = RecentRejectSerializer(many=True)

    def to_representation(self, instance: Import) -> dict:
        request = self.context["request"]
        return super().to_representation(
            {
                **snapshot(instance),
                "url": reverse("import", [instance.pk], request=request),
                "events_url": reverse("events", [channel(instance.pk)], request=request),
            }
        )


class UploadSerializer(serializers.Serializer):
    """An unfinished upload: go on with it at `offset` by PATCH to `url`."""

    url = serializers.HyperlinkedIdentityField(
        view_name="upload", lookup_field="pk", lookup_url_kwarg="upload_id"
    )
    file_name = serializers.CharField()
    size_bytes = serializers.IntegerField()
    offset = serializers.IntegerField()
    expires_at = serializers.DateTimeField()

    created_at = serializers.DateTimeField()
    encoding = serializers.ChoiceField(list(ENCODINGS.items()))
    new_products_active = serializers.BooleanField()
    check_first = serializers.BooleanField()

    def get_fields(self) -> dict:
        # A reserved word in Python, not in JSON.
        return {**super().get_fields(), "import": serializers.IntegerField()}

    def to_representation(self, upload: Upload) -> dict:
        job = upload.imports.order_by("pk").first()
        for option in ("encoding", "new_products_active", "check_first"):
            setattr(upload, option, getattr(job, option))
        setattr(upload, "import", job.pk)
        return super().to_representation(upload)


class UploadListQuery(Query):
    """Parameters of the list of unfinished uploads."""

    fingerprint = serializers.CharField(
        required=False,
        allow_blank=True,
        trim_whitespace=False,
        max_length=FINGERPRINT_CHARACTERS,
    )


class NewImportSerializer(Strict):
    """A file and what to do with it. Fields may stand before or after the file."""

    file = serializers.FileField(help_text="CSV with the columns sku, name and description.")
    encoding = Choice(list(ENCODINGS.items()), default="utf-8")
    new_products = Choice(["active", "inactive"], default="active")
    check_first = TrueFalseWord(default=False)


class RepeatSerializer(Strict):
    """What differs from the import that is repeated."""

    encoding = Choice(list(ENCODINGS.items()), required=False)
    check_first = TrueFalse(required=False)


class RejectSerializer(serializers.ModelSerializer):
    class Meta:
        model = ImportReject
        fields = ["line", "column", "reason", "raw"]
