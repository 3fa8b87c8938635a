"""What a real instance on a real Kafka shows of itself, seen through the pages."""

import pytest

from tests.services.waiting import until
from tests.streaming.sales.conftest import kafka_stage as kafka_stage
from tests.streaming.sales.kafka_stage import KafkaStage, Message, sale

pytestmark = pytest.mark.django_db

ADDRESS = "/streaming/sales/"
T0 = 1_674_744_306.5
CODES = [f"C{number:02}" for number in range(60)]


@pytest.fixture
def stage(kafka_stage: KafkaStage, settings) -> KafkaStage:
    settings.KAFKA_BOOTSTRAP_SERVERS = [kafka_stage.bootstrap]
    settings.SALES_GROUP = kafka_stage.group
    settings.SALES_INPUT_TOPIC = kafka_stage.input
    settings.SALES_DEAD_LETTER_TOPIC = kafka_stage.dead_letters
    return kafka_stage


def test_sums_curves_and_dead_letters_of_a_real_instance(stage: KafkaStage, read):
    stage.create(partitions=2)
    stage.start("shop")
    until(lambda: "running 0 and 1" in read(ADDRESS), 60)
    assert "No sales yet" in read(ADDRESS)

    stage.produce(
        [
            *(
                Message(sale(code, T0 + 2 * number + twice, number + 1, 1.25), code.encode())
                for number, code in enumerate(CODES)
                for twice in (0, 1)
            ),
            Message(b'{"StockCode": "C00"}', b"C00"),
        ]
    )
    stage.wait_until_done()

    page = until(lambda: "C59" in (page := read(ADDRESS)) and "field missing" in page and page)
    assert "C59 – 150.00 2 " in page, "60 times 1.25, twice"
    assert "C09" not in page.split("Partitions of")[0], "only fifty are shown"
    assert f"Partitions of {stage.input} sums go to {stage.output}" in page
    assert "60 StockCodes in memory 120 sales in memory" in page

    # One that is not among the fifty: nobody has asked for it yet.
    page = until(lambda: "As a table" in (page := read(f"{ADDRESS}C00/")) and page)
    assert "2.50 sum of the last 10 minutes 2 sales" in page
    assert until(lambda: "Nobody has sold c00" in read(f"{ADDRESS}c00/"))

    page = until(lambda: "field missing" in (page := read(f"{ADDRESS}dead-letters/")) and page)
    assert '{"StockCode": "C00"}' in page and f"{stage.input} · partition " in page
