import html
import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from products.catalogue.highlighting import EXCERPT_CHARACTERS, excerpt, pieces, spans
from products.templatetags.catalogue import highlight

# Letters whose other case is longer, shorter or elsewhere, marks of HTML, few enough to meet.
LETTERS = "aAbBsßSẞiıİIŉKKſςσΣΩ<>&;%_' ǅ\u0307\U00010400"
texts = st.text(alphabet=LETTERS, max_size=40)
words_ = st.lists(st.text(alphabet=LETTERS.replace(" ", ""), min_size=1, max_size=4), max_size=4)


def marked_slowly(text: str, words: list[str]) -> list[bool]:
    """Which characters match, found by comparing every word at every place."""
    lowered = [(small, at) for at, character in enumerate(text) for small in character.lower()]
    marked = [False] * len(text)
    for word in words:
        wanted = [small for character in word for small in character.lower()]
        for start in range(len(lowered) - len(wanted) + 1):
            window = lowered[start : start + len(wanted)]
            if [small for small, _ in window] == wanted:
                for _, at in window:
                    marked[at] = True
    return marked


@given(texts, words_)
def test_it_marks_what_a_slow_comparison_marks(text, words):
    marked = [matches for piece, matches in pieces(text, words) for _ in piece]
    assert marked == marked_slowly(text, words)


@given(texts, words_)
def test_pieces_joined_are_the_text_and_alternate(text, words):
    cut = pieces(text, words)
    assert "".join(piece for piece, _ in cut) == text
    assert all(piece for piece, _ in cut)
    assert all(one[1] != other[1] for one, other in itertools.pairwise(cut))


@given(texts, words_)
def test_marked_html_holds_the_text_and_no_other_tags(text, words):
    marked = highlight(text, words)
    assert html.unescape(re.sub("</?mark>", "", marked)) == text
    assert re.findall("<[^>]*>", re.sub("</?mark>", "", marked)) == []


@given(st.text(alphabet=LETTERS + "\n", max_size=900), words_)
def test_an_excerpt_is_a_part_of_the_line_that_shows_the_first_match(text, words):
    line = " ".join(text.split())
    shown = excerpt(text, words)
    inner = shown.removeprefix("…").removesuffix("…")
    assert inner in line
    found = spans(line, words)
    longest = max([EXCERPT_CHARACTERS, *(end - start for start, end in found[:1])])
    assert len(inner) <= longest + 40
    if found:
        start, end = found[0]
        assert line[start:end] in inner


@pytest.mark.parametrize(
    ("text", "words", "marked"),
    [
        ("A song", ["song"], "A <mark>song</mark>"),
        ("SONG and Song", ["sOnG"], "<mark>SONG</mark> and <mark>Song</mark>"),
        ("abcd", ["abc", "bcd"], "<mark>abcd</mark>"),
        ("abcd", ["ab", "cd"], "<mark>abcd</mark>"),
        ("aaaa", ["aa"], "<mark>aaaa</mark>"),
        ("nothing", ["x"], "nothing"),
        ("nothing", [], "nothing"),
        ("", ["x"], ""),
        ("<script>alert(1)</script>", [], "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("<script>", ["<script>"], "<mark>&lt;script&gt;</mark>"),
        ("a <b> c", ["<b>"], "a <mark>&lt;b&gt;</mark> c"),
        ("a &amp; b", ["&amp;"], "a <mark>&amp;amp;</mark> b"),
        ("a &amp; b", ["amp"], "a &amp;<mark>amp</mark>; b"),
        ("a & b", ["amp"], "a &amp; b"),
        ("100 % of_it", ["%"], "100 <mark>%</mark> of_it"),
        ("100 % of_it", ["_"], "100 % of<mark>_</mark>it"),
        ("a.b", ["."], "a<mark>.</mark>b"),
        ("İstanbul", ["istanbul"], "İstanbul"),
        ("İstanbul", ["stan"], "İ<mark>stan</mark>bul"),
        ("İİ song", ["song"], "İİ <mark>song</mark>"),
        ("İstanbul", ["İST"], "<mark>İst</mark>anbul"),
        ("Straße", ["SS"], "Straße"),
        ("ΟΔΟΣ", ["οδοσ"], "<mark>ΟΔΟΣ</mark>"),
    ],
)
def test_it_marks(text, words, marked):
    assert highlight(text, words) == marked


@pytest.mark.parametrize(
    ("text", "words", "shown"),
    [
        ("short\n  text", [], "short text"),
        ("x" * 400, [], "x" * 300 + "…"),
        (f"{'word ' * 40}a song here", ["song"], f"…{'word ' * 4}a song here"),
        (f"{'x' * 100}song", ["song"], f"…{'x' * 24}song"),
        (f"a song {'word ' * 10}end", ["song"], f"a song {'word ' * 10}end"),
    ],
)
def test_an_excerpt_is(text, words, shown):
    assert excerpt(text, words) == shown
