"""Files of prices for tests, and what an own script makes of them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.streaming.prices import oracle

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
HEADING = "Time,Stock,Price"


def shared(name: str) -> Path:
    """A file of the specification's; the test is skipped where it is not."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"there is no {path}")
    return path


def lines(count: int, start: int = 0, stocks: int = 7) -> list[str]:
    """Rows of stock1, stock2 … in turn; some without price, one of fifty is none."""
    made = []
    for number in range(start, start + count):
        seconds = 9 * 3600 + number % 50_000
        instant = f"{seconds // 3600:02}{seconds // 60 % 60:02}{seconds % 60:02}"
        price = "" if number % 11 == 3 else f"{1000 + number}"
        broken = number % 50 == 17
        name = f"{'Stock' if number % 2 else 'stock'}{number * number % stocks + 1}"
        made.append(f"{instant[:5] if broken else instant},{name},{price}")
    return made


def written(path: Path, rows: Iterable[str], end: str = "\n") -> Path:
    """A file with the heading and these rows."""
    path.write_bytes("".join(f"{each}{end}" for each in (HEADING, *rows)).encode())
    return path


def expected(path: Path) -> dict[str, str]:
    """The value under each key after this file, by a script of its own."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return oracle.read_file(file)[0].texts()


def expected_letters(path: Path) -> list[tuple[int, str]]:
    """Row and reason of each that is refused."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [tuple(each) for each in oracle.read_file(file)[1]]


def values(client: redis.Redis) -> dict[str, str]:
    """What stands under the key of each stock."""
    names: Any = client.zrange("prices:stocks", 0, -1)
    return {name.decode(): (client.get(name) or b"").decode() for name in names}


def letters(client: redis.Redis) -> list[tuple[int, str]]:
    """Place in the file and reason of each dead letter."""
    return [
        (int(fields[b"at"]), fields[b"reason"].decode())
        for _, fields in client.xrange("prices:dead_letters")
    ]
