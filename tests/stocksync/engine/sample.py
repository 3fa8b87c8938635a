"""The input and output examples of the specification, as it prints them."""

import ast
import json

PRINTED_INPUT = """\
{'type': 'ProductCreated', 'id': 1, 'stock': 10, 'timestamp': 123,
'parent_id': None}
{'type': 'ProductCreated', 'id': 2, 'stock': 10, 'timestamp': 124,
'parent_id': 1}
{'type': 'ProductCreated', 'id': 3, 'stock': 10, 'timestamp': 125,
'parent_id': 1}
{'type': 'ProductUpdated', 'id': 1, 'timestamp': 126, 'stock': 9}
{'type': 'ProductUpdated', 'id': 1, 'timestamp': 127, 'stock': 8}
{'type': 'ProductUpdated', 'id': 1, 'timestamp': 129, 'stock': 20}
{'type': 'IncorrectEventType', 'id': 1, 'timestamp': 130, 'stock': 20}
// incorrect event
{'type': 'ProductUpdated', 'id': 1, 'timestamp': 131} // incorrect event
{'type': 'ProductUpdated', 'id': 4, 'timestamp': 132, 'stock': 20} //
event for not existing item
{'type': 'ProductUpdated', 'id': 1, 'timestamp': 128, 'stock': 7}
{'type': 'ProductUpdated', 'id': 3, 'timestamp': 134, 'stock': 19}
{'type': 'ProductEnded', 'id': 2, 'timestamp': 135}
{'type': 'ProductUpdated', 'id': 3, 'timestamp': 136, 'stock': 0}
"""

PRINTED_OUTPUT = """\
{'type': 'UpdateProduct', 'id': 2, 'stock': 9}
{'type': 'UpdateProduct', 'id': 3, 'stock': 9}
{'type': 'UpdateProduct', 'id': 2, 'stock': 8}
{'type': 'UpdateProduct', 'id': 3, 'stock': 8}
{'type': 'UpdateProduct', 'id': 2, 'stock': 20}
{'type': 'UpdateProduct', 'id': 3, 'stock': 20}
{'type': 'UpdateProduct', 'id': 1, 'stock': 19}
{'type': 'UpdateProduct', 'id': 2, 'stock': 19}
{'type': 'EndProduct', 'id': 1}
{'type': 'EndProduct', 'id': 2}
{'type': 'StockSummary', 'stocks': {'1': 19, '2': 19, '3': 0}}
"""


def _unwrapped(begins: tuple[str, ...]) -> str:
    """The input with each printed line joined to the one before, unless it `begins` a line."""
    lines: list[str] = []
    for printed in PRINTED_INPUT.splitlines():
        if printed.startswith(begins):
            lines.append(printed)
        else:
            lines[-1] += f" {printed}"
    return "".join(f"{line}\n" for line in lines)


# The document does not say whether "// incorrect event" began a line or was wrapped into one.
COMMENTS_BEHIND = _unwrapped(begins=("{",))
COMMENT_LINE = _unwrapped(begins=("{", "//"))
JSON_LINES = "".join(
    f"{json.dumps(ast.literal_eval(line.split('//')[0].strip()))}\n"
    for line in COMMENTS_BEHIND.splitlines()
)
OUTPUT = PRINTED_OUTPUT.replace("'", '"')
