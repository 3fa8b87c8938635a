"""Names in the Redis of prices. The value of a stock has its name as key, by the specification."""

from pathlib import Path

import redis
from redis.commands.core import Script

STOCKS = "prices:stocks"  # sorted set: name, by id
POSITIONS = "prices:positions"  # hash: how far each place has been worked off
DEAD_LETTERS = "prices:dead_letters"  # stream
DEAD_LETTERS_COUNT = "prices:dead_letters:count"  # ever
MINUTE = "prices:performance:minute"  # the last that calculations were asked for in
SOURCE = "source:"  # fields of the hash beside a value: last row of each source

SCRIPTS = Path(__file__).parent / "scripts"


def beside(name: str) -> str:
    """The hash beside a stock's value."""
    return f"prices:stock:{name}"


def script(client: redis.Redis, name: str) -> Script:
    """scripts/<name>.lua, to be called with `keys` and `args`."""
    return client.register_script((SCRIPTS / f"{name}.lua").read_text())
