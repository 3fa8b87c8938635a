"""The rules of a product's fields, those of an imported row: for the page's form and the API.

Pure. What is accepted here is accepted by the import (products/imports/csv_rules.py) and
the reverse, with the same result, so that an export imports again unchanged.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from config.field_rules import FieldErrors, Wrong, at_most, text, true_or_false
from products.imports.csv_rules import (
    DESCRIPTION_CHARACTERS,
    LIMITS,
    NAME_CHARACTERS,
    SKU_CHARACTERS,
)

FIELDS = ("sku", "name", "description", "active")
DEFAULTS: dict[str, Any] = {"description": "", "active": True}

LINE_END = re.compile(r"\r\n|\n|\r")


def clean(values: Mapping[str, Any], *, partial: bool = False) -> dict[str, Any]:
    """The values as they are stored. Raises FieldErrors with all that is wrong.

    `values` holds sku, name and description (str) and active (bool). SKU and name lose the
    blanks around them and keep their case; a description stays as it is. Without `partial` SKU
    and name are required and the others get DEFAULTS; with it the result has what was given.
    """
    cleaned: dict[str, Any] = {}
    errors: dict[str, list[str]] = {}
    for field in FIELDS:
        try:
            if field in values:
                cleaned[field] = CLEANERS[field](values[field])
            elif not partial:
                cleaned[field] = DEFAULTS[field] if field in DEFAULTS else _required(field, "")
        except Wrong as error:
            errors[field] = error.messages
    if not errors:
        _check_lines(cleaned, errors)
    unknown = [field for field in values if field not in FIELDS]
    for field in unknown[:20]:  # a body may be nothing but these
        errors[field] = [f"There is no such field. Fields are {', '.join(FIELDS)}."]
    if errors:
        raise FieldErrors(errors)
    return cleaned


def text_of_form(given: str, current: str = "") -> str:
    """A text as a browser's form sent it, with the line ends that it had in `current`.

    Browsers send every line end as \\r\\n (HTML standard, "constructing the entry list"). Saved
    like that, a text would count as changed although nobody touched it.
    """
    if LINE_END.sub("\n", given) == LINE_END.sub("\n", current):
        return current
    return LINE_END.sub("\r\n" if "\r\n" in current else "\n", given)


def _sku(value: Any) -> str:
    return at_most(SKU_CHARACTERS, _required("sku", text(value).strip()))


def _name(value: Any) -> str:
    return at_most(NAME_CHARACTERS, _required("name", text(value).strip()))


def _description(value: Any) -> str:
    return at_most(DESCRIPTION_CHARACTERS, text(value))


def _required(field: str, value: str) -> str:
    if not value:
        raise Wrong("Enter a SKU." if field == "sku" else f"Enter a {field}.")
    return value


def _check_lines(cleaned: dict[str, Any], errors: dict[str, list[str]]) -> None:
    """A record of a file has at most so many lines; a product is one when it is exported."""
    texts = [value for value in cleaned.values() if isinstance(value, str)]
    lines = 1 + sum(len(LINE_END.findall(each)) for each in texts)
    if lines > LIMITS.record_lines:
        most = max(cleaned, key=lambda field: len(LINE_END.findall(str(cleaned[field]))))
        errors[most] = [f"{lines:,} lines, at most {LIMITS.record_lines:,} are allowed."]


CLEANERS: dict[str, Callable[[Any], Any]] = {
    "sku": _sku,
    "name": _name,
    "description": _description,
    "active": true_or_false,
}
