"""The specification's whole file into Redis, by step 1 and by step 3, next to an own script.

The script (oracle.py) runs by itself and shares nothing with the product.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from config.services.engine import Engine
from tests.services.waiting import until
from tests.streaming.prices import oracle
from tests.streaming.prices.judge import SAMPLE, USER, address, empty_redis
from tests.streaming.prices.stage import PricesStage

FILE = Path(__file__).resolve().parents[4] / "shared" / "data" / "price_data.csv"
SEED = FILE.with_name("redis_data.txt")
COMMAND_SECONDS = 120

pytestmark = pytest.mark.skipif(not FILE.exists(), reason="../shared is not there")


def told_by_the_script() -> dict[str, str]:
    """Values by key, from the script's own process."""
    done = subprocess.run(
        [sys.executable, oracle.__file__, str(FILE)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def values(client: redis.Redis) -> dict[str, str]:
    """All keys that are not the product's own."""
    names = [key.decode() for key in client.keys("*") if not key.startswith(b"prices:")]
    return {name: (client.get(name) or b"").decode() for name in names}


def ran(stage: PricesStage, *arguments: str) -> str:
    """What a command of manage.py said; it must have gone well."""
    process = stage.command(*arguments)
    assert process.exit_code(COMMAND_SECONDS) == 0, process.log
    return process.log


def test_the_file_has_what_the_script_says() -> None:
    """The script against the plainest reading of the file."""
    expected = {name: oracle.loads(text) for name, text in told_by_the_script().items()}
    lines = [line.split(",") for line in FILE.read_text().split()[1:]]
    assert len(lines) == 510
    assert {name.lower() for _, name, _ in lines} == expected.keys()
    for name, value in expected.items():
        own = [(time, int(price)) for time, stock, price in lines if stock.lower() == name]
        assert list(zip(value["time"], value["price"], strict=True)) == own
        assert own[0][0].startswith("0900")
        assert value["id"] == int(name.removeprefix("stock")) and value["performance"] == 0


def test_by_the_file_and_by_kafka_the_values_are_the_same(prices_stage: PricesStage) -> None:
    stage, expected = prices_stage, told_by_the_script()

    assert "510 added" in ran(stage, "load_prices", str(FILE))
    assert values(stage.redis) == expected
    ran(stage, "load_prices", str(FILE))
    assert values(stage.redis) == expected

    # The other way on top: each row is there once all the same.
    ran(stage, "publish_prices", str(FILE))
    instance = stage.start()
    stage.wait_until_done()
    assert values(stage.redis) == expected

    # The other way alone, three times.
    stage.redis.flushdb()
    until(lambda: values(stage.redis) == expected, 60)
    ran(stage, "publish_prices", str(FILE))
    ran(stage, "publish_prices", str(FILE))
    stage.wait_until_done()
    assert values(stage.redis) == expected
    assert stage.letters() == []
    assert instance.child.poll() is None

    # And the file on top of Kafka, which has to be said.
    refused = stage.command("load_prices", str(FILE))
    assert refused.exit_code(COMMAND_SECONDS) == 1 and "--add" in refused.log
    ran(stage, "load_prices", str(FILE), "--add")
    assert values(stage.redis) == expected


@pytest.mark.parametrize("partitions", [1, 5])
def test_by_kafka_after_the_sample_data(prices_stage: PricesStage, partitions: int) -> None:
    """Set by redis-cli, as the specification's container does it."""
    stage = prices_stage
    for name, text in {**SAMPLE, **USER}.items():
        stage.redis.set(name, text)
    ran(stage, "publish_prices", str(FILE), "--partitions", str(partitions))
    assert stage.partitions(stage.topic) == partitions
    stage.start()
    stage.wait_until_done()
    _is_sample_and_file(stage.redis)


@pytest.mark.skipif(not SEED.exists(), reason="../shared is not there")
def test_by_the_file_after_seed_redis(own_valkey: Callable[[], Engine], tmp_path: Path) -> None:
    engine = own_valkey()
    stage = PricesStage("127.0.0.1:1", tmp_path, address(engine))
    with empty_redis(engine) as client:
        ran(stage, "seed_redis", str(SEED))
        assert {name: oracle.loads(text) for name, text in values(client).items()} == {
            name: oracle.loads(text) for name, text in {**SAMPLE, **USER, **_second_user()}.items()
        }
        ran(stage, "load_prices", str(FILE))
        client.delete("user2")
        _is_sample_and_file(client)
    stage.redis.close()


def _second_user() -> dict[str, str]:
    return {"user2": '{"id": 2, "credit": 6000000000}'}


def _is_sample_and_file(client: redis.Redis) -> None:
    expected = {}
    for name, text in told_by_the_script().items():
        sample, value = oracle.loads(SAMPLE[name]), oracle.loads(text)
        value["time"] = sample["time"] + value["time"]
        value["price"] = sample["price"] + value["price"]
        expected[name] = oracle.dumps(value)
    found = values(client)
    assert oracle.loads(found.pop("user1")) == oracle.loads(USER["user1"])
    assert found == expected
