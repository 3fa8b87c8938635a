"""Generated histories of few products, so that trees, timestamps and ids collide."""

import json
from typing import Any

from hypothesis import strategies as st

from tests.stocksync.engine.running import created, ended, updated

IDS = st.sampled_from([0, 0, 1, 1, 2, 3, 4, 5])
STOCKS = st.sampled_from([0, 0, 1, 2, 3, 10])
TIMESTAMPS = st.integers(0, 12)
PARENTS = st.sampled_from([None, None, 0, 0, 1, 1, 2])

CREATIONS = st.builds(created, IDS, STOCKS, TIMESTAMPS, PARENTS)
UPDATES = st.builds(updated, IDS, STOCKS, TIMESTAMPS)
ENDS = st.builds(ended, IDS, TIMESTAMPS)
EVENTS = st.one_of(CREATIONS, CREATIONS, UPDATES, UPDATES, ENDS)

VALUES = st.sampled_from(
    [0, 1, 2, -1, 2**63, 2**63 - 1, 10**20, True, False, None, 1.0, 1e300, "1", "", "é", [1], {}]
)
KEYS = st.sampled_from(["type", "id", "timestamp", "stock", "parent_id", "x", "é"])
TYPES = st.sampled_from(["ProductCreated", "ProductUpdated", "ProductEnded", "UpdateProduct"])


@st.composite
def wrong_lines(draw: Any) -> bytes:
    """An event in which something may be wrong or unknown, left out, or given twice."""
    fields: list[tuple[str, Any]] = [("type", draw(TYPES))]
    fields += [("id", draw(IDS)), ("timestamp", draw(TIMESTAMPS)), ("stock", draw(STOCKS))]
    fields.append(("parent_id", draw(PARENTS)))
    for key, value in draw(st.lists(st.tuples(KEYS, VALUES), min_size=1, max_size=2)):
        place = draw(st.integers(0, len(fields)))
        fields = [field for field in fields if field[0] != key or draw(st.integers(0, 4)) == 0]
        fields.insert(place, (key, value))
    if draw(st.booleans()):
        fields.pop(draw(st.integers(0, len(fields) - 1)))
    written = ", ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in fields)
    return f"{{{written}}}\n".encode()


def as_literal(line: bytes) -> bytes:
    """The event as the specification prints it."""
    return repr(json.loads(line)).encode() + b"\n"


@st.composite
def decorated(draw: Any, lines: st.SearchStrategy[bytes]) -> bytes:
    """The line in another form, which says the same or is refused for it."""
    line = draw(lines)
    if draw(st.booleans()):
        return line
    body = draw(st.sampled_from([line, as_literal(line)])).rstrip()
    before = draw(st.sampled_from([b"", b" ", b"\t "]))
    after = draw(st.sampled_from([b"", b"  ", b"// x", b" // ]} \xff", b" // \xc3\xa9", b" x"]))
    return before + body + after + draw(st.sampled_from([b"\n", b"\r\n"]))


MARKS = [b"{", b"}", b"[", b'"', b"'", b":", b",", b"//", b"\\", b"1", b"-", b"\r", b" "]
WORDS = [b"NaN", b"None", b"null", b"id", b"'type': 'ProductEnded'", b'"timestamp": 3']
FRAGMENTS = st.sampled_from([*MARKS, *WORDS, b"\x00", b"\xff"])
NOISE = st.lists(FRAGMENTS, max_size=9).map(lambda pieces: b"".join(pieces) + b"x\n")
EMPTY = st.sampled_from([b"\n", b" \t\n", b"\r\n", b"// nothing\n", b"  // {\r\n"])
LINES = st.one_of(
    EVENTS, EVENTS, decorated(EVENTS), decorated(wrong_lines()), wrong_lines(), NOISE, EMPTY
)


@st.composite
def deliveries(draw: Any) -> bytes:
    """What a shop would send, with unique timestamps, and then reordered and repeated."""
    trees = draw(st.integers(1, 3))
    lines, products = [], 0
    for _ in range(trees):
        parent = products
        for _ in range(draw(st.integers(1, 4))):
            root = None if products == parent else parent
            lines.append((products, root, draw(STOCKS)))
            products += 1
    events = [("create", line) for line in lines]
    changes = st.tuples(st.integers(0, products - 1), STOCKS, st.booleans())
    for product, stock, ends in draw(st.lists(changes, max_size=15)):
        place = draw(st.integers(0, len(events)))
        events.insert(place, ("end" if ends and stock == 0 else "update", (product, stock)))
    written = []
    for timestamp, (kind, values) in enumerate(events):
        if kind == "create":
            product, root, stock = values
            written.append(created(product, stock, timestamp, root))
        elif kind == "end":
            written.append(ended(values[0], timestamp))
        else:
            written.append(updated(*values, timestamp))
    if draw(st.booleans()):
        written = draw(st.permutations(written))
    repeated = draw(st.lists(st.sampled_from(written), max_size=3))
    return b"".join([*written, *repeated])


@st.composite
def noise_files(draw: Any) -> bytes:
    lines = draw(st.lists(LINES, min_size=5, max_size=25))
    data = b"".join(lines)
    if draw(st.integers(0, 9)) == 0:
        data = b"\xef\xbb\xbf" + data
    if draw(st.integers(0, 4)) == 0:
        data = data.removesuffix(b"\n").removesuffix(b"\r")
    return data


FEW_EVENTS = st.lists(EVENTS, max_size=4).map(b"".join)
MANY_EVENTS = st.lists(EVENTS, min_size=12, max_size=40).map(b"".join)
FILES = st.one_of(FEW_EVENTS, MANY_EVENTS, MANY_EVENTS, deliveries(), noise_files())
