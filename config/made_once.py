"""`@made_once`: one client of an engine for each address, for all threads of a process."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

Key = ParamSpec("Key")
Made = TypeVar("Made")


def made_once(make: Callable[Key, Made]) -> Callable[Key, Made]:
    """As functools.cache, but threads that ask at the same time get the same thing as well.

    There each would get its own, and all but one end with the call that asked: this closes a
    client of redis under the pipeline that was made of it. Called with positional arguments.
    """
    made: dict[tuple[object, ...], Made] = {}

    @wraps(make)
    def one(*key: Key.args, **none: Key.kwargs) -> Made:
        if key not in made:
            made.setdefault(key, make(*key, **none))  # in one step
        return made[key]

    return one
