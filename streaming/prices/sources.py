"""Which files the histories' rows have come from."""

from . import keys
from .stocks import Stocks


def known(stocks: Stocks) -> frozenset[str]:
    """The sources of all rows of all histories. Raises redis.RedisError."""
    client = stocks.client
    names: list[bytes] = list(client.zrange(keys.STOCKS, 0, -1))  # type: ignore[arg-type]
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.hkeys(keys.beside(name.decode()))
        found = pipe.execute()
    return frozenset(
        field.decode().removeprefix(keys.SOURCE)
        for fields in found
        for field in fields
        if field.startswith(keys.SOURCE.encode())
    )
