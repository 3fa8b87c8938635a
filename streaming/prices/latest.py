"""The newest prices, for other areas: the one way into prices."""

from collections.abc import Sequence
from typing import Any

import redis

from . import keys
from .rows import Refusal, from_cells
from .value import NotAStock, Value


def stock_name(text: str) -> str | None:
    """The stock's name as Redis has it ("Stock1" is stock1), None where it can't be one."""
    row = from_cells("000000", text, "")
    return None if isinstance(row, Refusal) else row.stock


def names(client: redis.Redis, most: int) -> list[str]:
    """The first stocks by id, at most so many. Raises redis.RedisError."""
    found: Any = client.zrange(keys.STOCKS, 0, most - 1)
    return [name.decode("utf-8", "replace") for name in found]


def latest(client: redis.Redis, names: Sequence[str]) -> dict[str, str]:
    """The newest price of each stock as JSON writes it, "" where it has none.

    Names that are no stocks are left out. `client` gives bytes. Raises redis.RedisError.
    """
    with client.pipeline(transaction=False) as pipe:
        ask(pipe, names)
        found = pipe.execute(raise_on_error=False)
    return understood(client, names, found)


def ask(pipe: Any, names: Sequence[str]) -> None:
    """Put into a pipeline what `understood` needs of these stocks: two answers for each."""
    for name in names:
        pipe.hmget(keys.beside(name), "length", "latest")
        pipe.strlen(name)


def understood(client: redis.Redis, names: Sequence[str], found: Sequence[Any]) -> dict[str, str]:
    """As `latest`, of the answers to what was asked, errors among them.

    Values that others have written are read now, in one more round trip.
    """
    prices: dict[str, str] = {}
    foreign: list[str] = []
    raise_trouble(found)
    for name, known, length in zip(names, found[::2], found[1::2], strict=True):
        if isinstance(known, redis.ResponseError) or isinstance(length, redis.ResponseError):
            continue  # it is no stock
        if known[0] == str(length).encode():
            prices[name] = (known[1] or b"").decode("ascii", "replace")
        elif length:
            foreign.append(name)  # written by others, and no row has come since
    for name, value in zip(foreign, _values(client, foreign), strict=True):
        try:
            newest = Value.parse(value).latest()
        except NotAStock:
            continue
        prices[name] = newest[1] if newest else ""
    return prices


def raise_trouble(found: Sequence[Any]) -> None:
    """Raise the first error among these answers that is not of a key which holds another kind."""
    for each in found:
        if isinstance(each, redis.ResponseError) and not _is_other_kind(each):
            raise each


def _is_other_kind(error: redis.ResponseError) -> bool:
    """Whether the key holds something else, no passing trouble of Redis."""
    return str(error).startswith("WRONGTYPE")


def _values(client: redis.Redis, names: Sequence[str]) -> list[Any]:
    return [value or b"" for value in client.mget(names)] if names else []
