"""Old and new values next to each other."""

import pytest

from products.catalogue.differences import Difference, difference, differences

LONG = "word " * 40


@pytest.mark.parametrize(
    ("field", "old", "new", "expected"),
    [
        ("name", "Lamp", "Desk lamp", ("Name", "Lamp", "Desk lamp")),
        ("sku", None, "a-1", ("SKU", "", "a-1")),
        ("active", True, False, ("State", "active", "inactive")),
        ("active", None, True, ("State", "", "active")),
        ("description", "", "", ("Description", "", "")),
    ],
)
def test_short_values_are_shown_whole(field, old, new, expected):
    assert difference(field, old, new) == Difference(*expected)


def test_of_long_texts_the_place_where_they_differ_is_shown():
    shown = difference("description", f"{LONG}old {LONG}", f"{LONG}new {LONG}")
    same_before, same_after = LONG[-24:], LONG[:23]
    assert shown.old == f"…{same_before}old {same_after}…"
    assert shown.new == f"…{same_before}new {same_after}…"


@pytest.mark.parametrize("added", ["x" * 500, "\n"])
def test_what_was_added_at_an_end_is_shown(added):
    behind = difference("description", LONG, LONG + added)
    assert behind.old.startswith("…") and added[:20] in behind.new
    before = difference("description", LONG, added + LONG)
    assert before.new.startswith(added[:20])


def test_nothing_shown_is_long():
    shown = difference("description", "a" * 10_000, "b" * 10_000)
    assert shown == Difference("Description", "a" * 120 + "…", "b" * 120 + "…")


def test_a_text_that_was_emptied_is_shown_as_empty():
    assert difference("description", LONG, "").new == ""


def test_all_fields_of_a_change_in_their_order():
    labels = [each.label for each in differences({"name": ["a", "b"], "active": [True, False]})]
    assert labels == ["Name", "State"]
