"""Where the words of a search are in a text. Pure; for products/templatetags/catalogue.py.

Case is ignored as PostgreSQL's ILIKE does it, character by character: "İ" becomes the two
characters "i̇", "ß" stays itself, whatever stands around them.
"""

from collections.abc import Iterable, Sequence

EXCERPT_CHARACTERS = 300  # of a description in the list, whose line shows fewer
BEFORE_MATCH = 24  # characters shown before the first match
NEAR_START = 32  # a match up to here needs no excerpt: the line shows it


def pieces(text: str, words: Iterable[str]) -> list[tuple[str, bool]]:
    """`text` cut where matches begin and end: (piece, whether it matches); joined it is `text`."""
    cut: list[tuple[str, bool]] = []
    at = 0
    for start, end in spans(text, words):
        if start > at:
            cut.append((text[at:start], False))
        cut.append((text[start:end], True))
        at = end
    if at < len(text):
        cut.append((text[at:], False))
    return cut


def spans(text: str, words: Iterable[str]) -> list[tuple[int, int]]:
    """Start and end of all that matches any of `words`, in order; what overlaps or touches is one.

    A character that becomes several in lower case is matched as soon as one of those is.
    """
    wanted = {_lower(word)[0] for word in words if word}
    if not wanted:
        return []
    lowered, origins = _lower(text)
    found: list[tuple[int, int]] = []
    for word in wanted:
        start = lowered.find(word)
        while start >= 0:
            end = start + len(word)
            found.append((origins[start], origins[end - 1] + 1))
            start = lowered.find(word, start + 1)
    merged: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def excerpt(text: str, words: Iterable[str], characters: int = EXCERPT_CHARACTERS) -> str:
    """The part of `text` around its first match, on one line, "…" where it is cut.

    At most `characters` long beside the marks, or as long as the first match.
    """
    line = " ".join(text.split())
    if len(line) <= NEAR_START:
        return line
    found = spans(line, words)
    start, end = found[0] if found else (0, 0)
    begin = 0
    if start > NEAR_START:
        # At the beginning of a word, where there is one on the way to the match.
        begin = line.find(" ", start - BEFORE_MATCH, start) + 1 or start - BEFORE_MATCH
    stop = max(begin + characters, end)
    return f"{'…' if begin else ''}{line[begin:stop]}{'…' if stop < len(line) else ''}"


def _lower(text: str) -> tuple[str, Sequence[int]]:
    """`text` in lower case, and for each of its characters the position it comes from."""
    if text.isascii():
        return text.lower(), range(len(text))
    parts = [character.lower() for character in text]
    lowered = "".join(parts)
    if len(lowered) == len(text):
        return lowered, range(len(text))
    return lowered, [at for at, part in enumerate(parts) for _ in part]
