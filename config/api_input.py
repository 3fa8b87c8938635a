"""Strict input of the API: what is not known is refused by name, and nothing is guessed.

Views mix in StrictQuery and name the parameters they take; bodies are `Strict` serializers.
"""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request

NAMED_AT_MOST = 20  # unknown fields that an answer names
NAME_CHARACTERS = 100
MAX_ID = 2**63 - 1  # of a bigint


class Strict(serializers.Serializer):
    """A JSON object or a form with the declared fields and no others."""

    WHAT = "field"  # what the names are, in messages

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        unknown: dict[str, Any] = {}
        if isinstance(data, Mapping):
            names = [str(name) for name in data if name not in self.fields]
            known = ", ".join((*self.fields, *self.context.get("known_too", ()))) or "none"
            advice = f"There is no such {self.WHAT}. {self.WHAT.title()}s are: {known}."
            unknown = {name[:NAME_CHARACTERS]: [advice] for name in names[:NAMED_AT_MOST]}
        try:
            values = super().to_internal_value(data)
        except ValidationError as error:
            raise ValidationError({**error.detail, **unknown}) from None
        if unknown:
            raise ValidationError(unknown)
        return values


class Nothing(Strict):
    """The body of an action that needs none: empty, or `{}`."""


class Text(serializers.CharField):
    """A JSON string: numbers and the like are not taken for one."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Choice(serializers.ChoiceField):
    """One of some words; whatever else is given is answered with these."""

    def __init__(self, choices: Any, *, advice: str = "", **kwargs: Any) -> None:
        super().__init__(choices, **kwargs)
        advice = advice or f"Use one of: {', '.join(map(str, self.choices))}."
        advice = advice.replace("{", "{{").replace("}", "}}")  # DRF formats its messages
        self.error_messages |= dict.fromkeys(("invalid_choice", "required", "null"), advice)


class TrueFalse(serializers.BooleanField):
    """JSON's true or false, nothing that looks like it."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


class TrueFalseWord(serializers.BooleanField):
    """The words `true` and `false`, in queries and forms."""

    WORDS = {"true": True, "false": False}

    def to_internal_value(self, data: Any) -> bool:
        if isinstance(data, bool):
            return data  # what DRF puts in where a form leaves it out
        if not isinstance(data, str) or data not in self.WORDS:
            raise ValidationError("Write true or false.")
        return self.WORDS[data]


class RowId(serializers.IntegerField):
    """The id of a row, a JSON number."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=1, max_value=MAX_ID, **kwargs)

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class Query(Strict):
    """The parameters after the `?`, each at most once."""

    WHAT = "parameter"


class ByAccept(DefaultContentNegotiation):
    """Without DRF's `?format=`, which would be a parameter of every address."""

    def filter_renderers(self, renderers: Any, format: str) -> Any:
        return renderers


class StrictQuery:
    """Mixin of views: their parameters, checked, as `self.query` before the method runs.

    `query_classes` has a Query by method; HEAD is GET. A paginator's parameters are known too.
    """

    query_classes: dict[str, type[Query]] = {}
    content_negotiation_class = ByAccept
    query: dict[str, Any]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        self.query = self._read(request)

    def _read(self, request: Request) -> dict[str, Any]:
        method = "GET" if request.method == "HEAD" else str(request.method)
        if not hasattr(self, method.lower()):
            return {}  # 405 follows
        paged = self._page_parameters() if method == "GET" else ()
        given = request.query_params
        twice = {name: ["Give it once."] for name in given if len(given.getlist(name)) > 1}
        if twice:
            raise ValidationError(twice)
        form = self.query_classes.get(method, Query)(
            data={name: value for name, value in given.items() if name not in paged},
            context={"known_too": paged},
        )
        form.is_valid(raise_exception=True)
        return form.validated_data

    def _page_parameters(self) -> tuple[str, ...]:
        paginator = getattr(self, "pagination_class", None)
        if paginator is None:
            return ()
        return paginator.cursor_query_param, paginator.page_size_query_param


def no_body(request: Request) -> None:
    """For actions that take no body: refuse one that says something."""
    Nothing(data=request.data).is_valid(raise_exception=True)
