import csv
import io
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from products.catalogue.fields import FieldErrors, clean, text_of_form
from products.imports.csv_rows import Carry, parse_part

GOOD = {"sku": "AB-1", "name": "Lamp", "description": "bright", "active": False}


def errors_of(values, **options) -> dict[str, list[str]]:
    with pytest.raises(FieldErrors) as refused:
        clean(values, **options)
    return refused.value.fields


@pytest.mark.parametrize(
    ("field", "given", "stored"),
    [
        ("sku", " \t AB-1\u00a0\r\n", "AB-1"),
        ("sku", "\x1fAB-1\x85\u2003", "AB-1"),
        ("sku", "aB-1", "aB-1"),
        ("sku", "A B\nC", "A B\nC"),
        ("sku", "\x01\x7f\u200b", "\x01\x7f\u200b"),
        ("sku", " " + "s" * 128 + " ", "s" * 128),
        ("name", "  Lamp  ", "Lamp"),
        ("name", "\U0001f4a1" * 255, "\U0001f4a1" * 255),
        ("name", "<script>", "<script>"),
        ("description", "", ""),
        ("description", "  as it is \r\n", "  as it is \r\n"),
        ("description", "d" * 10_000, "d" * 10_000),
        ("description", "\n" * 999, "\n" * 999),
        ("active", True, True),
        ("active", False, False),
    ],
)
def test_it_accepts(field, given, stored):
    assert clean(GOOD | {field: given}) == GOOD | {field: stored}
    assert clean({field: given}, partial=True) == {field: stored}


@pytest.mark.parametrize(
    ("field", "given", "said"),
    [
        ("sku", "", "Enter a SKU."),
        ("sku", " \u3000\x1c", "Enter a SKU."),
        ("sku", "s" * 129, "129 characters, at most 128 are allowed."),
        ("sku", "A\0B", "Remove the NUL character (\\x00) in it."),
        ("sku", 7, "Must be text."),
        ("sku", None, "Must be text."),
        ("sku", ["AB-1"], "Must be text."),
        ("name", "\r\n", "Enter a name."),
        ("name", "n" * 256, "256 characters, at most 255 are allowed."),
        ("name", "\ud83d", "Remove the half character (\\ud800 to \\udfff) in it."),
        ("description", "d" * 10_001, "10,001 characters, at most 10,000 are allowed."),
        ("description", "\r" * 1000, "1,001 lines, at most 1,000 are allowed."),
        ("description", "\0", "Remove the NUL character (\\x00) in it."),
        ("description", None, "Must be text."),
        ("active", None, "Must be true or false."),
        ("active", 1, "Must be true or false."),
        ("active", "yes", "Must be true or false."),
        ("colour", "red", "There is no such field. Fields are sku, name, description, active."),
    ],
)
def test_it_refuses(field, given, said):
    assert errors_of(GOOD | {field: given}) == {field: [said]}
    assert errors_of({field: given}, partial=True) == {field: [said]}


def test_it_tells_all_that_is_wrong_at_once():
    found = errors_of({"name": "", "description": 1, "colour": "red"})
    assert list(found) == ["sku", "name", "description", "colour"]


def test_what_is_absent_gets_its_default_or_stays():
    assert clean({"sku": "a", "name": "b"}) == {
        "sku": "a",
        "name": "b",
        "description": "",
        "active": True,
    }
    assert clean({}, partial=True) == {}


def imported(values):
    """What the import makes of a file with this one row; None when it refuses it."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(values)
    writer.writerow([text if isinstance(text, str) else str(text) for text in values.values()])
    batch, _ = parse_part(out.getvalue().encode(), Carry(), encoding="utf-8", final=True)
    if batch.errors:
        return None
    ((_, *row),) = batch.rows
    return dict(zip(("sku", "name", "description", "active"), row, strict=True))


def texts(characters: int) -> st.SearchStrategy[str]:
    """Texts up to a little above the limit, with what is awkward more often than by chance."""
    awkward = st.sampled_from(" \t\r\n\0\x1c\x1f\x85\u00a0\u2028\u200b\ufeff\x01\x7f\",;'ſİ")
    alphabet = awkward | st.characters(codec="utf-8")
    near = st.builds(
        lambda fill, count, ends: ends + fill * count + ends,
        st.characters(codec="utf-8"),
        st.integers(characters - 2, characters + 2),
        st.sampled_from(["", " ", "\n"]),
    )
    return st.text(alphabet, max_size=12) | near


ROWS = st.fixed_dictionaries(
    {
        "sku": texts(128),
        "name": texts(255),
        "description": texts(10_000) | texts(999),
        "active": st.booleans(),
    }
)


@given(ROWS)
@example(GOOD | {"description": "\n" * 999})
@example(GOOD | {"description": "\n" * 1000})
@example(GOOD | {"sku": "a\rb", "description": "\r\n" * 999})
@example(GOOD | {"sku": "\ufeffa"})
@example(GOOD | {"name": "a\0"})
def test_it_agrees_with_the_import(values):
    try:
        cleaned = clean(values)
    except FieldErrors:
        cleaned = None
    assert cleaned == imported(values)


def test_half_a_character_from_json_is_refused():
    values = json.loads('{"sku": "\\ud800", "name": "a"}')
    assert list(errors_of(values)) == ["sku"]


@pytest.mark.parametrize(
    ("given", "current", "stored"),
    [
        ("a\r\nb", "a\nb", "a\nb"),
        ("a\r\nb", "a\rb", "a\rb"),
        ("a\r\nb", "a\r\nb", "a\r\nb"),
        ("a\r\nb\r\nc", "a\r\nb", "a\r\nb\r\nc"),
        ("a\r\nb\r\nc", "a\nb", "a\nb\nc"),
        ("a\r\nb", "", "a\nb"),
    ],
)
def test_a_form_does_not_change_line_ends(given, current, stored):
    assert text_of_form(given, current) == stored
