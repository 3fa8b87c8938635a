"""Python dictionaries as the specification prints events: {'id': 1, 'parent_id': None}.

Flat ones only, and read by hand: `ast.literal_eval` can be made to crash the interpreter by
nesting, and it does not tell where the dictionary ends and a comment begins.
"""

import ast
import re
import warnings
from typing import Any, List, Tuple

SPACE = r"[ \t\f\r]*"
STRING = r"""[uU]?(?:'(?:[^'\\\0\r]|\\.)*'|"(?:[^"\\\0\r]|\\.)*")"""
NUMBER = r"[+-]?(?:[0-9]|\.[0-9])(?:[eE][+-]|[0-9A-Za-z_.])*"
OPEN = re.compile(SPACE + r"\{" + SPACE)
CLOSE = re.compile(SPACE + r"\}")
PAIR = re.compile(
    "(" + STRING + ")" + SPACE + ":" + SPACE + "(?:(" + STRING + ")|(" + NUMBER + ")|"
    r"(None|True|False)\b)" + SPACE + r"(,|(?=\}))" + SPACE
)
WORDS = {"None": None, "True": True, "False": False}
DIGITS = re.compile(r"[+-]?(?:0+|[1-9][0-9]*)")
MOST_CHARACTERS = 20  # of an int: more is too large anyway, and slow to read
HUGE = 1 << 64  # stands for a number that is too long to be read


def read(text: str) -> Tuple[List[Tuple[str, Any]], int]:
    """The pairs of the dictionary at the start of `text`, and where it ends.

    ValueError, with the place in it, where there is none.
    """
    opened = OPEN.match(text)
    if opened is None:
        raise ValueError("no { at the beginning")
    place = opened.end()
    pairs: List[Tuple[str, Any]] = []
    while True:
        closed = CLOSE.match(text, place)
        if closed is not None:
            return pairs, closed.end()
        pair = PAIR.match(text, place)
        if pair is None:
            raise ValueError(f"'key': value expected at character {place + 1}")
        key, string, number, word, comma = pair.groups()
        if string is not None:
            value: Any = _string(string)
        elif number is not None:
            value = whole(number) if DIGITS.fullmatch(number) else _literal(number)
        else:
            value = WORDS[word]
        pairs.append((_string(key), value))
        place = pair.end()
        if not comma and CLOSE.match(text, place) is None:
            raise ValueError(f"}} expected at character {place + 1}")


def whole(digits: str) -> int:
    """An int of any length; HUGE stands for one that is too long to be read quickly."""
    if len(digits) > MOST_CHARACTERS:
        return -HUGE if digits.startswith("-") else HUGE
    return int(digits)


def _string(token: str) -> str:
    if "\\" not in token:
        return token.lstrip("uU")[1:-1]
    return str(_literal(token))


def _literal(token: str) -> Any:
    """One string or number by Python's own rules."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # '\d' is read as Python reads it
            return ast.literal_eval(token)
    except (SyntaxError, ValueError, MemoryError, OverflowError):
        raise ValueError(f"{token[:40]} is no Python literal") from None
