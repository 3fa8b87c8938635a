"""What the fields of forms and API bodies have in common, whatever they are called. Pure."""

import re
from typing import Any

# JSON can hold half a pair ("\ud800"), which is no character: no database or file takes it.
SURROGATE = re.compile("[\ud800-\udfff]")


class FieldErrors(ValueError):
    """What is wrong, for people: `fields` is {field: [messages]}."""

    def __init__(self, fields: dict[str, list[str]]) -> None:
        super().__init__("; ".join(f"{name}: {' '.join(said)}" for name, said in fields.items()))
        self.fields = fields


class Wrong(ValueError):
    """What is wrong with one field, in sentences."""

    def __init__(self, *messages: str) -> None:
        super().__init__(" ".join(messages))
        self.messages = list(messages)


def text(value: Any) -> str:
    """A text that a database can keep. Raises Wrong."""
    if not isinstance(value, str):
        raise Wrong("Must be text.")
    if "\0" in value:
        raise Wrong("Remove the NUL character (\\x00) in it.")
    if SURROGATE.search(value):
        raise Wrong("Remove the half character (\\ud800 to \\udfff) in it.")
    return value


def at_most(characters: int, value: str) -> str:
    """`value` where it is short enough. Raises Wrong."""
    if len(value) > characters:
        raise Wrong(f"{len(value):,} characters, at most {characters:,} are allowed.")
    return value


def true_or_false(value: Any) -> bool:
    """A real bool. Raises Wrong."""
    if not isinstance(value, bool):
        raise Wrong("Must be true or false.")
    return value
