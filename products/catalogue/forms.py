"""The form of a product's page. What is valid is decided by fields.py."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from django import forms
from django.forms.boundfield import BoundField

from products.models import Product

from . import fields
from .differences import Difference, difference


@dataclass(frozen=True)
class Row:
    """A field of the form as it is shown."""

    field: BoundField
    counted: bool
    """Whether the characters left are shown near the limit."""
    theirs: Difference | None
    """What somebody else saved in this field (old: theirs, new: mine), where both changed it."""


def _text(characters: int, *, required: bool = True, **attrs: Any) -> dict[str, Any]:
    return {"class": "field", "maxlength": characters, "required": required, **attrs}


class ProductForm(forms.Form):
    """A new product, or edits of `product` as the database has it now.

    The hidden `initial-<field>` say what the user has seen. What differs from them is what the user
    changed, and only that is saved.
    """

    sku = forms.CharField(
        label="SKU",
        strip=False,
        required=False,
        show_hidden_initial=True,
        widget=forms.TextInput(
            _text(
                Product.SKU_CHARACTERS, autocomplete="off", autocapitalize="off", spellcheck="false"
            )
        ),
    )
    name = forms.CharField(
        strip=False,
        required=False,
        show_hidden_initial=True,
        widget=forms.TextInput(_text(Product.NAME_CHARACTERS, autocomplete="off")),
    )
    description = forms.CharField(
        strip=False,
        required=False,
        show_hidden_initial=True,
        widget=forms.Textarea(_text(Product.DESCRIPTION_CHARACTERS, required=False, rows=7)),
    )
    active = forms.BooleanField(required=False, show_hidden_initial=True)

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        product: Product | None = None,
        initial: Mapping[str, Any] | None = None,
    ) -> None:
        if product is not None:
            initial = {field: getattr(product, field) for field in fields.FIELDS}
        super().__init__(data, initial={**fields.DEFAULTS, **(initial or {})})
        if product is None:
            first = "name" if self.initial.get("sku") else "sku"
            self.fields[first].widget.attrs["autofocus"] = True
        self.product = product
        self.taken: Product | None = None
        self.theirs: list[Difference] = []
        self._both: dict[str, Difference] = {}

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if self.errors:
            return given
        values = {field: self._as_sent(field, given[field]) for field in fields.FIELDS}
        try:
            return fields.clean(values)
        except fields.FieldErrors as error:
            for field, messages in error.fields.items():
                self.add_error(field, messages)
            return given

    def changes(self) -> dict[str, Any]:
        """What the user changed and is not so in `product` already. Only of a valid form."""
        return {
            field: value
            for field, value in self.cleaned_data.items()
            if self._touched(field) and value != getattr(self.product, field)
        }

    def refuse_sku(self, other: Product) -> None:
        """Say at the field that `other` has this SKU."""
        self.taken = other
        self.add_error("sku", f"SKU {other.sku} is already used by {other.name}.")

    def rebased(self, current: Product) -> Self:
        """The user's edits on top of `current`, which somebody else saved meanwhile.

        `theirs` of the result holds what they changed, next to what this user would save.
        """
        data: dict[str, Any] = {}
        changed: dict[str, tuple[Any, Any]] = {}
        both: dict[str, Difference] = {}
        for field in fields.FIELDS:
            saved = getattr(current, field)
            mine = self.cleaned_data[field] if self._touched(field) else saved
            data |= {field: mine, f"initial-{field}": saved}
            if _plain(field, self._seen(field)) != _plain(field, saved):
                changed[field] = (saved, mine)
                if mine != saved:
                    both[field] = difference(field, saved, mine)
        form = type(self)(data, product=current)
        form.is_valid()
        form.theirs = [difference(field, *pair) for field, pair in changed.items()]
        form._both = both
        return form

    @property
    def overlaps(self) -> bool:
        """Whether somebody else changed a field that this user changes too."""
        return bool(self._both)

    def rows(self) -> list[Row]:
        return [
            Row(self[field], "maxlength" in self.fields[field].widget.attrs, self._both.get(field))
            for field in fields.FIELDS
        ]

    def _seen(self, field: str) -> Any:
        """The value that the user began with."""
        name = self.add_initial_prefix(field)
        if name in self.data:
            return self.fields[field].to_python(self.data[name])
        return self.get_initial_for_field(self.fields[field], field)

    def _touched(self, field: str) -> bool:
        return _plain(field, self.cleaned_data[field]) != _plain(field, self._seen(field))

    def _as_sent(self, field: str, given: Any) -> Any:
        """`given` with the line ends that browsers change or, in one-line fields, take away."""
        current = getattr(self.product, field) if self.product else ""
        if field == "description":
            return fields.text_of_form(given, current)
        if field in ("sku", "name") and given == fields.LINE_END.sub("", current):
            return current
        return given


def _plain(field: str, value: Any) -> Any:
    """For comparing: without what a browser changes by itself."""
    if field == "active":
        return value
    if field == "description":
        return fields.LINE_END.sub("\n", value)
    return fields.LINE_END.sub("", value).strip()
