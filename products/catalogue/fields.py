"""The rules of a product's fields, those of an imported row: for the page's form and the API.

Pure. What is accepted here is accepted by the import (products/imports/csv_rules.py) and
the reverse, with the same result, so that an export imports again unchanged.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from products.imports.csv_rules import (
    DESCRIPTION_CHARACTERS,
    LIMITS,
    NAME_CHARACTERS,
    SKU_CHARACTERS,
)

FIELDS = ("sku", "name", "description", "active")
DEFAULTS: dict[str, Any] = {"description": "", "active": True}

LINE_END = re.compile(r"\r\n|\n|\r")
# JSON can hold half a pair ("\ud800"), which is no character: no database or file takes it.
SURROGATE = re.compile("[\ud800-\udfff]")


class FieldErrors(ValueError):
    """What is wrong, for people: `fields` is {field: [messages]}, in the order of FIELDS."""

    def __init__(self, fields: dict[str, list[str]]) -> None:
        super().__init__("; ".join(f"{name}: {' '.join(said)}" for name, said in fields.items()))
        self.fields = fields


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
        except ValueError as error:
            errors[field] = [str(error)]
    if not errors:
        _check_lines(cleaned, errors)
    for field in values:
        if field not in FIELDS:
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
    return _at_most(SKU_CHARACTERS, _required("sku", _text(value).strip()))


def _name(value: Any) -> str:
    return _at_most(NAME_CHARACTERS, _required("name", _text(value).strip()))


def _description(value: Any) -> str:
    return _at_most(DESCRIPTION_CHARACTERS, _text(value))


def _active(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("Must be true or false.")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("Must be text.")
    if "\0" in value:
        raise ValueError("Remove the NUL character (\\x00) in it.")
    if SURROGATE.search(value):
        raise ValueError("Remove the half character (\\ud800 to \\udfff) in it.")
    return value


def _required(field: str, value: str) -> str:
    if not value:
        raise ValueError("Enter a SKU." if field == "sku" else f"Enter a {field}.")
    return value


def _at_most(characters: int, value: str) -> str:
    if len(value) > characters:
        raise ValueError(f"{len(value):,} characters, at most {characters:,} are allowed.")
    return value


def _check_lines(cleaned: dict[str, Any], errors: dict[str, list[str]]) -> None:
    """A record of a file has at most so many lines; a product is one when it is exported."""
    texts = [value for value in cleaned.values() if isinstance(value, str)]
    lines = 1 + sum(len(LINE_END.findall(text)) for text in texts)
    if lines > LIMITS.record_lines:
        most = max(cleaned, key=lambda field: len(LINE_END.findall(str(cleaned[field]))))
        errors[most] = [f"{lines:,} lines, at most {LIMITS.record_lines:,} are allowed."]


CLEANERS: dict[str, Callable[[Any], Any]] = {
    "sku": _sku,
    "name": _name,
    "description": _description,
    "active": _active,
}
