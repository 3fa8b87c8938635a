"""REST shapes of checks and their runs."""

from typing import Any

from rest_framework import serializers
from rest_framework.reverse import reverse

from config.api_input import Choice, Query, Strict

from .models import CheckRun, CheckState, Origin
from .registry import ALL, BY_NAME


class FindingSerializer(serializers.Serializer):
    """One thing that is not as it must be."""

    place = serializers.CharField()
    what = serializers.CharField()
    advice = serializers.CharField(help_text="What to do.")
    url = serializers.CharField(
        allow_blank=True, help_text="Path of a page that shows more, empty for none."
    )


class CheckRunSerializer(serializers.Serializer):
    """A run of a check, without what it found one by one."""

    id = serializers.IntegerField()
    url = serializers.SerializerMethodField(help_text="This run with its findings.")
    check = serializers.CharField(source="name")
    state = serializers.ChoiceField(CheckState.choices)
    ended = serializers.BooleanField()
    progress = serializers.CharField(allow_blank=True, help_text="How far it is.")
    looked_at = serializers.IntegerField(help_text="0: there was nothing to look at.")
    summary = serializers.CharField(allow_blank=True)
    found = serializers.IntegerField(help_text="How many things are not as they must be.")
    error = serializers.CharField(allow_blank=True, help_text="Why nothing could be checked.")
    origin = serializers.ChoiceField(Origin.choices)
    started_by = serializers.SerializerMethodField(help_text="Empty for what runs by itself.")
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    seconds = serializers.FloatField(allow_null=True)

    def get_url(self, run: CheckRun) -> str:
        found: str = reverse("api-check-run", args=[run.pk], request=self.context["request"])
        return found

    def get_started_by(self, run: CheckRun) -> str:
        return run.created_by.get_username() if run.created_by else ""


class CheckRunDetailSerializer(CheckRunSerializer):
    """A run with what it found, the first 1,000 of it."""

    findings = FindingSerializer(many=True)


class CheckSerializer(serializers.Serializer):
    """A check, its run under way and its last one that has ended."""

    name = serializers.CharField(source="check.name")
    title = serializers.CharField(source="check.title")
    compares = serializers.CharField(source="check.compares")
    takes = serializers.CharField(source="check.takes")
    now = CheckRunSerializer(allow_null=True)
    last = CheckRunSerializer(allow_null=True)


class ChecksSerializer(serializers.Serializer):
    """All checks."""

    results = CheckSerializer(many=True)


class NewRunsSerializer(Strict):
    """Which checks to run; all without `checks`."""

    checks = serializers.ListField(
        child=Choice([each.name for each in ALL]),
        required=False,
        allow_empty=False,
        max_length=2 * len(ALL),
    )


class StartedSerializer(serializers.Serializer):
    """The runs that were begun, or were under way already."""

    results = CheckRunSerializer(many=True)


class RunListQuery(Query):
    """Filters of the list of runs."""

    check = Choice(list(BY_NAME), required=False)


def runs_of(runs: list[CheckRun], request: Any) -> dict[str, Any]:
    """As StartedSerializer has them."""
    return {"results": CheckRunSerializer(runs, many=True, context={"request": request}).data}
