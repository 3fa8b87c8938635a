"""REST shapes of products. What a field may hold is in fields.py; here it is only described."""

from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from config.api_input import Choice, Query, Strict, Text, TrueFalse, TrueFalseWord
from config.listing import Total
from products.models import ChangeAction, Product

from . import fields, history
from .filters import MAX_SEARCH_CHARACTERS, Filter

ORDERINGS = {"-id": "newest", "sku": "sku", "name": "name"}


class ProductSerializer(serializers.ModelSerializer):
    """A product as it is answered."""

    url = serializers.HyperlinkedIdentityField(view_name="product")

    class Meta:
        model = Product
        fields = [
            "id",
            "url",
            "sku",
            "name",
            "description",
            "active",
            "created_at",
            "updated_at",
            "last_import_id",
        ]
        read_only_fields = fields


class ProductInput(Strict):
    """A product as it is given."""

    sku = Text(
        min_length=1,
        help_text="Unique without regard to case, which is kept. At most"
        f" {Product.SKU_CHARACTERS} characters without the blanks around it, which are taken off.",
    )
    name = Text(
        min_length=1,
        help_text=f"At most {Product.NAME_CHARACTERS} characters without the blanks around it.",
    )
    description = Text(
        allow_blank=True,
        default=fields.DEFAULTS["description"],
        max_length=Product.DESCRIPTION_CHARACTERS,
    )
    active = TrueFalse(default=fields.DEFAULTS["active"])

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            return super().to_internal_value(data)  # says what it should be
        try:
            return fields.clean(data, partial=self.partial)
        except fields.FieldErrors as error:
            raise ValidationError(error.fields) from None


class FilterQuery(Query):
    """Which products: those of the list, the export."""

    search = serializers.CharField(
        required=False,
        allow_blank=True,
        trim_whitespace=False,
        max_length=MAX_SEARCH_CHARACTERS,
        help_text="Parts of words, all of which a product has in SKU, name or description.",
    )
    active = TrueFalseWord(required=False, help_text="Active or inactive products alone.")


class ProductListQuery(FilterQuery):
    """Parameters of the list, beside those of its pages."""

    ordering = Choice(list(ORDERINGS), default="-id", help_text="`-id`: the newest first.")


class SkuQuery(Query):
    """Parameter of the look-up."""

    sku = serializers.CharField(
        trim_whitespace=False,
        max_length=Product.SKU_CHARACTERS,
        help_text="In any case: ab-1 finds AB-1.",
    )


class ChangeSerializer(serializers.Serializer):
    """One entry of a product's history."""

    action = serializers.ChoiceField(
        [*ChangeAction.choices, (history.IMPORTED, "Changed by an import")]
    )
    at = serializers.DateTimeField()
    by = serializers.CharField(source="who", help_text="The user's name as it was then.")
    token = serializers.CharField(help_text="The API token's name; empty for a browser.")
    changes = serializers.DictField(
        child=serializers.ListField(
            child=serializers.JSONField(allow_null=True), min_length=2, max_length=2
        ),
        help_text='`{"name": ["old", "new"]}`',
    )
    import_id = serializers.IntegerField(allow_null=True)
    bulk_change_id = serializers.IntegerField(source="bulk_id", allow_null=True)


class HistorySerializer(serializers.Serializer):
    """The newest entries of a product's history."""

    results = ChangeSerializer(many=True)


def filter_of(given: dict[str, Any]) -> Filter:
    """The Filter that checked `search` and `active` mean."""
    return Filter(search=given.get("search", ""), active=given.get("active"))


def totals(total: Total) -> dict[str, Any]:
    """How a list says how many rows it has."""
    return {"count": total.rows, "count_exact": total.exact}
