"""The whole retail file through 4 partitions and 2 instances, against the oracle."""

import csv
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.streaming.sales.kafka_stage import KafkaStage, Message

FILE = Path(__file__).resolve().parents[4] / "shared" / "data" / "online_retail_II.csv"
T0 = 1_674_744_306.978004


def retail(rng: random.Random) -> Iterator[Message]:
    """As the spec's script writes them, 20 a second of event time, one in ten out of order."""
    with FILE.open(encoding="latin-1", newline="") as file:
        for number, row in enumerate(csv.DictReader(file)):
            time = T0 + number * 0.05
            if rng.random() < 0.1:
                time -= rng.uniform(0, 700)
            code = row["StockCode"]
            message = {
                "Invoice": row["Invoice"],
                "StockCode": int(code) if code.isdecimal() and rng.random() < 0.5 else code,
                "Description": row["Description"] or float("nan"),
                "Quantity": int(row["Quantity"]),
                "Price": float(row["Price"]),
                "Customer ID": float(row["Customer ID"] or "nan"),
                "Country": row["Country"],
                "InvoiceDate": time,
            }
            yield Message(json.dumps(message).encode(), code.encode())


@pytest.mark.skipif(not FILE.exists(), reason="../shared is not there")
def test_the_whole_retail_file(kafka_stage: KafkaStage) -> None:
    stage = kafka_stage
    stage.create(4)
    stage.start()
    stage.start()
    stage.wait_for_owners(2, 4)

    messages = list(retail(random.Random(1)))
    assert len(messages) > 57_000
    stage.produce(messages, linger_ms=50, batch_size=200_000)
    stage.wait_until_done(120)

    judged = stage.assert_right()
    assert judged.right + judged.reasons.total() == len(messages)
    assert set(judged.reasons) == {"late"}
    assert all(len(records) > 5000 for records in judged.outputs.values())
