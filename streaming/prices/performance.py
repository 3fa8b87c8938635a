"""The performance of a stock: the function that calculates it, and what counts as its result.

Pure, and called by `minute.py`. The function is pluggable: PRICES_PERFORMANCE is its dotted path.
It gets the newest price, an int or a float, and gives an int or a float.
"""

import json
import math
import time
from collections.abc import Callable
from importlib import import_module

from billiard.common import terminate_handler_fired
from celery.exceptions import SoftTimeLimitExceeded

CALCULATION_SECONDS = 3
SHOWN = 300


class Failure(Exception):
    """There is no result. The text says why, for people who watch the page."""


def calculate_performance(stock_price: int | float) -> int:
    """The function of the specification: it takes 3 seconds and gives 0."""
    time.sleep(CALCULATION_SECONDS)
    return 0


def result(path: str, price: str) -> str:
    """What the function of this dotted path gives for a price, as JSON writes a number.

    `price` is a number of JSON. Raises Failure whatever the function does, SoftTimeLimitExceeded
    when it is told that its time is over, and SystemExit when its process is told to end.
    """
    function, argument = loaded(path), number(price)
    try:
        given = function(argument)
    except (Exception, SystemExit) as error:  # sys.exit would take the process with it
        _pass_on(error)
        raise Failure(in_words(error)) from error
    return token(given)


def number(price: str) -> int | float:
    """A price as the function gets it: an int where it is written as one.

    Raises Failure for what no int or float holds: values that others wrote may have any number.
    """
    try:
        found = int(price) if price.isdecimal() else float(price)
    except ValueError:  # an int of thousands of digits, too
        found = math.nan
    if not _is_finite(found):
        raise Failure(f"The price {_shown(price)} can't be calculated with.")
    return found


def loaded(path: str) -> Callable[[int | float], object]:
    """The function of a dotted path. Raises Failure where there is none."""
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (Exception, SystemExit) as error:  # whatever its module does when it is imported
        _pass_on(error)
        raise Failure(f"{path} can't be loaded: {in_words(error)}") from error
    if not callable(found):
        raise Failure(f"{path} can't be called.")
    function: Callable[[int | float], object] = found
    return function


def _pass_on(error: BaseException) -> None:
    """Raise what the pool has raised in the function, and not the function itself."""
    if isinstance(error, SoftTimeLimitExceeded):
        raise error
    if isinstance(error, SystemExit) and terminate_handler_fired():
        raise error


def token(given: object) -> str:
    """A result as JSON writes it. Raises Failure for what is no finite int or float."""
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise Failure(f"The function gave {_shown(given)}, which is no number.")
    if not _is_finite(given):
        raise Failure(f"The function gave {_shown(given)}, which is no finite number.")
    return json.dumps(given)


def in_words(error: BaseException) -> str:
    """An exception in one line, also where it can't tell its text."""
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = ""
    name = type(error).__name__
    return _printable(f"{name}: {text}" if text else name)


def _is_finite(number: int | float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an int that no float can hold
        return False


def _shown(given: object) -> str:
    try:
        text = repr(given)
    except Exception:  # also an int of too many digits
        text = f"a value of type {type(given).__name__}"
    return _printable(text if len(text) <= 60 else f"{text[:60]}…")


def _printable(text: str) -> str:
    """Text that fits into Redis and onto a page."""
    text = text.encode("utf-8", "replace").decode().replace("\0", "?")
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
