"""`seed_redis`: the specification's sample, and what may be wrong in such a file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.management import CommandError, call_command

from config.services.engine import Engine
from streaming.prices.seed_file import Entry, NoEntry, entries
from tests.streaming.prices.judge import SAMPLE, USER, address
from tests.streaming.prices.price_files import shared, values


@pytest.fixture(autouse=True)
def _redis_of_the_command(valkey: redis.Redis, valkey_engine: Engine, settings: Any) -> None:
    settings.PRICES_REDIS_URL = address(valkey_engine)


@pytest.fixture
def seed(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """`seed(path, …)`: runs the command, what it wrote."""

    def seed(*arguments: Any) -> str:
        call_command("seed_redis", *arguments)
        return capsys.readouterr().out

    return seed


def sample(folder: Path, *more: str) -> Path:
    """As the specification has it, the last line without an end."""
    path = folder / "redis.txt"
    path.write_text(
        "\n".join([*(f"SET {key} '{text}'" for key, text in (SAMPLE | USER).items()), *more])
    )
    return path


def test_the_specifications_file(valkey: redis.Redis, seed: Callable[..., str]) -> None:
    said = seed(shared("redis_data.txt"))
    assert said == "Set 3 stocks: stock1, stock2, stock3.\nSet 2 users: user1, user2.\n"
    assert valkey.get("stock2") == (
        b'{"id":2,"time":["09:00","09:01"],"price":[450,""],"performance":0}'
    )
    assert valkey.get("user2") == b'{"id": 2, "credit": 6000000000}'
    assert list(values(valkey)) == ["stock1", "stock2", "stock3"]


def test_what_is_there_stays_unless_it_is_to_be_replaced(
    valkey: redis.Redis, seed: Callable[..., str], tmp_path: Path
) -> None:
    other = '{"id":1,"time":["090006"],"price":[5],"performance":0}'
    valkey.set("stock1", other)
    valkey.set("user1", '{"id": 1, "credit": 7}')
    said = seed(sample(tmp_path))
    assert "Set 2 stocks: stock2, stock3." in said
    assert "Left as they are: stock1, user1." in said
    assert valkey.get("stock1") == other.encode()
    assert valkey.get("user1") == b'{"id": 1, "credit": 7}'
    said = seed(sample(tmp_path), "--replace")
    assert "Set 3 stocks: " in said and "Set 1 user: user1." in said and "Left" not in said
    assert json.loads(valkey.get("stock1") or "") == json.loads(SAMPLE["stock1"])
    assert valkey.get("user1") == USER["user1"].encode()


def test_other_lines_are_refused_and_the_rest_goes_in(
    valkey: redis.Redis,
    seed: Callable[..., str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    valkey.rpush("stock7", "a list")
    stock = '\'{"time": [], "price": []}\''
    path = sample(tmp_path, "", "DEL stock1", f"SET stock7 {stock}", f"set stock8 {stock}")
    with pytest.raises(CommandError, match=r"2 lines of .* refused"):
        seed(path)
    told = capsys.readouterr()
    assert "Line 6 is refused: not of the form SET key 'json': 'DEL stock1'" in told.err
    assert "Line 7 is refused: stock7: WRONGTYPE" in told.err
    assert "Set 4 stocks: stock1, stock2, stock3, stock8." in told.out
    assert valkey.lrange("stock7", 0, -1) == [b"a list"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("GET stock1", "not of the form"),
        ("SET stock1", "not of the form"),
        ("SET stock1 '{}' EX 5", "not of the form"),
        ("SET stock1 '{}", "No closing quotation"),
        ("SET stock1 '{}'", "stock1 is no stock: it has no lists"),
        ("SET stock1 'x'", "stock1 is no stock: it is no JSON"),
        ("""SET stock1 '{"time": ["090006"], "price": []}'""", "1 times, but 0 prices"),
        ("""SET Stock1 '{"time": [], "price": []}'""", "not written in small letters"),
        ("""SET .1 '{"time": [], "price": []}'""", "a name begins with a letter"),
        ("""SET prices:stocks '{"time": [], "price": []}'""", "a name begins with a letter"),
        ("""SET imports '{"time": [], "price": []}'""", "those of Celery's queues"),
        ("SET user1 'x'", "no JSON"),
        ("SET user1 '[]'", "a user has id and credit"),
        ("""SET user1 '{"id": 1}'""", "a user has id and credit"),
        ("""SET user1 '{"id": "1", "credit": 1}'""", "a number from 0 on"),
        ("""SET user1 '{"id": 1, "credit": -1}'""", "a number from 0 on"),
        ("""SET user1 '{"id": 1, "credit": true}'""", "a number from 0 on"),
        ("""SET user1 '{"id": 1, "credit": NaN}'""", "NaN is no number of JSON"),
        ("""SET user1 '{"id": 1, "credit": Infinity}'""", "Infinity is no number of JSON"),
    ],
)
def test_lines_that_are_refused(line: str, reason: str) -> None:
    (found,) = entries([line])
    assert isinstance(found, NoEntry)
    assert found.line == 1
    assert reason in found.reason


def test_lines_in_other_forms() -> None:
    lines = ["\n", 'set user1 "{\\"id\\": 1, \\"credit\\": 1.5}"\r\n', "  \n"]
    assert list(entries(lines)) == [Entry(2, "user1", '{"id": 1, "credit": 1.5}', True)]


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), (b"", "has no line"), (b"\xff", "not written in UTF-8")],
)
def test_files_that_are_none(
    seed: Callable[..., str], tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "a.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CommandError, match=words):
        seed(path)


def test_redis_away(seed: Callable[..., str], tmp_path: Path, settings: Any) -> None:
    settings.PRICES_REDIS_URL = "redis://127.0.0.1:1/0"
    with pytest.raises(CommandError, match=r"PRICES_REDIS_URL\): .*127\.0\.0\.1:1"):
        seed(sample(tmp_path))
