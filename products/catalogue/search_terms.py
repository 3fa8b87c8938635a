"""The words of a search, and what each asks of a product, as SQL. Pure.

A word is found anywhere in SKU, name and description, without regard to case. A word that
the index is no help for is found at the beginning of SKU or name.
"""

import re
from collections.abc import Iterable, Sequence

MAX_WORDS = 8
# pg_trgm looks up groups of three characters, so a word needs three letters or digits in a row.
# It can also use two before another sign, where a word ends: those nearly every product has
# ("st-o" would be looked for in 98,000 of 467,000).
RUN = re.compile(r"[^\W_]{3,}")
# Each of these groups makes a look-up longer, most of all those where a run of letters begins or
# ends, which many products have. A whole SKU of four words is found four times as fast by three
# runs.
MAX_RUNS = 3

Condition = tuple[str, list[str]]
"""SQL and its parameters."""


def words(search: str) -> list[str]:
    """The words that a product must hold, each once, at most MAX_WORDS."""
    return list(dict.fromkeys(search.split()))[:MAX_WORDS]


def is_indexed(word: str) -> bool:
    """Whether the index helps to find products that hold `word` anywhere."""
    return RUN.search(word) is not None


def condition(chosen: Sequence[str], text: str, *, beginnings: bool = False) -> Condition:
    """What a product must fulfil to hold all of the words.

    `text` is the expression that the index is made of. With `beginnings` every word is looked
    for at the beginning of SKU and name only: what can be done without that index.
    """
    parts: list[str] = []
    values: list[str] = []
    for word in chosen:
        if is_indexed(word) and not beginnings:
            parts.append(f"{text} LIKE lower(%s)")
            values.append(f"%{plain(word)}%")
        else:
            parts.append("(lower(sku) LIKE lower(%s) OR lower(name) LIKE lower(%s))")
            values += [f"{plain(word)}%"] * 2
    return " AND ".join(parts), values


def lookup(chosen: Sequence[str], text: str) -> Condition:
    """The same as `condition`, quicker by the index, but rarer in the eyes of the planner."""
    parts: list[str] = []
    values: list[str] = []
    for word in chosen:
        runs = RUN.findall(word)
        if len(runs) < 2:
            part, given = condition([word], text)
        else:
            longest = sorted(range(len(runs)), key=lambda number: -len(runs[number]))[:MAX_RUNS]
            pattern = "%".join(runs[number] for number in sorted(longest))
            part = f"{text} LIKE lower(%s) AND {text} || '' LIKE lower(%s)"
            given = [f"%{pattern}%", f"%{plain(word)}%"]
        parts.append(part)
        values += given
    return " AND ".join(parts), values


def plain(word: str) -> str:
    """`word` for LIKE, where `%` and `_` would stand for anything."""
    return re.sub(r"([\\%_])", r"\\\1", word)


def both(conditions: Iterable[Condition]) -> Condition:
    """All of the conditions; TRUE where there is none."""
    given = [(sql, values) for sql, values in conditions if sql]
    sql = " AND ".join(sql for sql, _ in given)
    return sql or "TRUE", [value for _, values in given for value in values]
