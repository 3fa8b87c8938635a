"""The generator: its pace by tables, and the command on a real Kafka."""

import io
import json
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from kafka.partitioner.default import murmur2

from config.services.engine import Engine
from streaming.kafka_log.partitions import partition_of
from streaming.pace import Pace
from streaming.sales.generator import Generator
from streaming.sales.retail_file import NoSale, Sale
from tests.services.waiting import until
from tests.streaming.sales.kafka_stage import KafkaStage
from tests.streaming.sales.retail import HEADING, PUBLIC, command, retail_file

# From Kafka's own tests of its Java client (UtilsTest.testMurmur2), as unsigned.
MURMUR2 = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


def simulated(pace: Pace, records: int, delays: dict[int, float] | None = None) -> list[float]:
    """When each record is sent; before record n something else takes `delays[n]` seconds."""
    now, sent = 1000.0, []
    for number in range(records):
        now += (delays or {}).get(number, 0.0)
        now += pace.wait_seconds(now)
        sent.append(now - 1000.0)
    return sent


@pytest.mark.parametrize(
    ("rate", "records", "seconds"),
    [(None, 1000, 0), (1, 4, 3), (10, 11, 1), (100, 501, 5), (10_000, 50_001, 5), (0.5, 3, 4)],
)
def test_the_pace_is_kept(rate: float | None, records: int, seconds: float) -> None:
    assert simulated(Pace(rate), records)[-1] == pytest.approx(seconds, abs=0.006)


def test_many_records_share_a_wait() -> None:
    times = simulated(Pace(10_000), 1000)
    assert len(set(times)) < 25


@pytest.mark.parametrize(("delay", "last"), [(0.5, 9.9), (30.0, 35.0 + 4.9)])
def test_a_short_delay_is_made_up_for_and_a_long_one_is_not(delay: float, last: float) -> None:
    assert simulated(Pace(10), 100, {51: delay})[-1] == pytest.approx(last, abs=0.11)


def run_pass(found: list[Sale | NoSale], ended_after: int = 99) -> tuple[Any, ...]:
    sent: list[tuple[bytes, bytes]] = []
    told: list[Sale | NoSale] = []
    generator = Generator(
        lambda key, value: sent.append((key, value)), Pace(None), lambda: len(sent) >= ended_after
    )
    return generator.run_pass(iter(found), told.append), sent, told, generator.total


def test_a_pass_sends_sales_and_counts_the_rest() -> None:
    before = time.time()
    found = [Sale(2, "21é", {"InvoiceDate": None, "Q": float("nan")}), NoSale(3, "why")]
    tally, sent, told, total = run_pass(found)
    ((key, value),) = sent
    assert key == "21é".encode()
    assert b'"Q": NaN' in value
    assert before <= json.loads(value)["InvoiceDate"] <= time.time()
    assert told == found
    assert (tally.sent, tally.refused) == (total.sent, total.refused) == (1, 1)


def test_a_pass_ends_when_asked() -> None:
    tally, sent, *_ = run_pass([Sale(n, "2", {"InvoiceDate": None}) for n in range(9)], 3)
    assert tally.sent == len(sent) == 3


@pytest.mark.parametrize(("key", "hashed"), MURMUR2.items())
def test_partitions_are_those_of_every_client(key: bytes, hashed: int) -> None:
    assert murmur2(key) == hashed % 2**32
    for count in (1, 3, 4, 100):
        assert partition_of(key, count) == (hashed & 0x7FFFFFFF) % count


@pytest.fixture
def topics(kafka_stage: KafkaStage, settings: Any) -> KafkaStage:
    """The stage's topics are those of `call_command` too."""
    settings.SALES_INPUT_TOPIC = kafka_stage.input
    settings.SALES_OUTPUT_TOPIC = kafka_stage.output
    settings.SALES_DEAD_LETTER_TOPIC = kafka_stage.dead_letters
    settings.SALES_GROUP = kafka_stage.group
    return kafka_stage


def values(stage: KafkaStage, topic: str) -> list[dict[str, Any]]:
    return [
        json.loads(record.value) for records in stage.read(topic).values() for record in records
    ]


def test_once_over_a_file_makes_the_topics_and_spreads_the_keys(
    topics: KafkaStage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = retail_file(tmp_path, 300)
    before = time.time()
    call_command("generate_sales", path, "--once", "--rate=max", "--partitions=3")

    found = topics.read(topics.input)
    assert [topics.partitions(name) for name in (topics.input, topics.output)] == [3, 3]
    assert topics.partitions(topics.dead_letters) == 3
    assert len(found) == 3
    assert all(found.values())
    quantities: list[int] = []
    for partition, records in found.items():
        for record in records:
            message = json.loads(record.value)
            assert record.key == message["StockCode"].encode()
            assert partition_of(record.key, 3) == partition
            assert before <= message["InvoiceDate"] <= time.time()
            assert record.timestamp_type == 1  # the broker's clock
            quantities.append(message["Quantity"])
        # In the order of the file.
        assert [json.loads(each.value)["Quantity"] for each in records] == sorted(
            json.loads(each.value)["Quantity"] for each in records
        )
    assert sorted(quantities) == list(range(300))
    first = next(each for each in values(topics, topics.input) if each["Quantity"] == 1)
    assert list(first) == [*HEADING.split(","), "InvoiceDate"]
    assert first["Description"] == "CAFÉ £1"
    assert first["Customer ID"] is None
    printed = capsys.readouterr().out
    assert f"Made topic {topics.input} with 3 partitions." in printed
    assert f"Sent 300 sales to topic {topics.input} (3 partitions)" in printed


def test_the_public_file_like_the_original(topics: KafkaStage, tmp_path: Path) -> None:
    path = tmp_path / "public.csv"
    path.write_text(f"{PUBLIC}\n536365,85123A,,6,12/1/2010 8:26,2.55,,EIRE\n")
    call_command("generate_sales", path, "--once", "--like-original", "--partitions=1")
    ((record,),) = topics.read(topics.input).values()
    sent, at = record.value.decode().split('"InvoiceDate": ')
    assert (
        sent == '{"Invoice": "536365", "StockCode": "85123A", "Description": NaN, "Quantity": 6, '
    )
    assert at.split(", ", 1)[1] == '"Price": 2.55, "Customer ID": NaN, "Country": "EIRE"}'
    assert record.key == b"85123A"


def test_lines_that_are_no_sale_are_told_and_the_rest_goes_on(
    topics: KafkaStage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "some.csv"
    good, bad = "1,2,x,1,1.5,,y\n", "1,2,x,one,1.5,,y\n"
    path.write_text(f"{HEADING}\n{good}{bad * 30}{good}")
    call_command("generate_sales", path, "--once", "--rate", "0")
    printed = capsys.readouterr()
    assert len(values(topics, topics.input)) == 2
    assert "Line 3 is no sale: Quantity is no number: 'one'" in printed.err
    assert printed.err.count("is no sale") == 20
    assert "… and 10 lines more" in printed.err
    assert "30 lines of the file were no sale" in printed.out


def test_a_topic_that_exists_keeps_its_partitions(
    topics: KafkaStage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topics.create(1)
    call_command("generate_sales", retail_file(tmp_path, 5), "--once", "--partitions=4")
    assert topics.partitions(topics.input) == 1
    assert "has 1 partition already" in capsys.readouterr().err
    other = f"{topics.name}.other"
    call_command("generate_sales", retail_file(tmp_path, 6), "--once", f"--topic={other}")
    assert len(values(topics, topics.input)) == 5
    assert len(values(topics, other)) == 6


def test_it_goes_over_the_file_again_until_it_is_told_to_end(
    kafka_stage: KafkaStage, tmp_path: Path
) -> None:
    process = command(
        kafka_stage, tmp_path, "generate_sales", retail_file(tmp_path, 40), "--rate=400"
    )
    kafka_stage.instances.append(process)
    process.says("pass over", times=3)
    assert "40 sales sent, 0 lines were no sale" in process.log
    process.send(signal.SIGINT)
    assert process.exit_code() == 0
    told = int(process.log.split("Sent ")[1].split(" sales")[0].replace(",", ""))
    counts = Counter(each["Quantity"] for each in values(kafka_stage, kafka_stage.input))
    assert counts.total() == told >= 120
    assert max(counts.values()) - min(counts.values()) <= 1


def test_killed_in_the_middle_it_leaves_whole_records_in_order(
    kafka_stage: KafkaStage, tmp_path: Path
) -> None:
    kafka_stage.create(1)
    path = retail_file(tmp_path, 100_000)
    process = command(kafka_stage, tmp_path, "generate_sales", path, "--rate=max")
    kafka_stage.instances.append(process)
    until(lambda: ends(kafka_stage) > 1000, 60)
    process.send(signal.SIGKILL)
    process.exit_code()
    found = [each["Quantity"] for each in values(kafka_stage, kafka_stage.input)]
    assert found == list(range(len(found)))


def ends(stage: KafkaStage) -> int:
    with stage.consumer() as consumer:
        return sum(consumer.end_offsets(stage._where(consumer, stage.input)).values())


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_a_bar_and_no_line_per_pass(
    topics: KafkaStage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    caplog.set_level("INFO")
    path = retail_file(tmp_path, 300)
    call_command("generate_sales", path, "--once", "--rate=1000")
    assert f"Send to {topics.input}: 300 sales" in terminal.getvalue()
    assert "pass over" not in caplog.text
    call_command("generate_sales", path, "--once", "--rate=1000", "--no-progress")
    assert terminal.getvalue().count("Send to") == terminal.getvalue().count("\r")
    assert "pass over" in caplog.text


def test_a_broker_that_is_away_is_told_at_once(settings: Any, tmp_path: Path) -> None:
    settings.KAFKA_BOOTSTRAP_SERVERS = ["127.0.0.1:1"]
    with pytest.raises(CommandError, match=r"127\.0\.0\.1:1"):
        call_command("generate_sales", retail_file(tmp_path, 5))
    settings.KAFKA_BOOTSTRAP_SERVERS = []
    with pytest.raises(CommandError, match="Set KAFKA_BOOTSTRAP_SERVERS"):
        call_command("generate_sales", retail_file(tmp_path, 5))


def test_a_broker_that_goes_away_ends_it_with_1_and_a_reason(
    own_kafka: Any, tmp_path: Path
) -> None:
    engine: Engine = own_kafka()
    stage = KafkaStage(engine.variables()["KAFKA_BOOTSTRAP_SERVERS"], tmp_path)
    path = retail_file(tmp_path, 100_000)
    process = command(stage, tmp_path, "generate_sales", path, "--rate=max")
    stage.instances.append(process)
    try:
        process.says("made topic")
        until(lambda: ends(stage) > 1000, 60)
        engine.kill()
        assert process.child.wait(timeout=120) == 1
    finally:
        stage.close()
    assert "CommandError: " in process.log
    assert "sales were handed over; the last of them may not be written." in process.log
    assert "Traceback" not in process.log


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.csv"], "none.csv: No such file or directory"),
        (["."], "is not a regular file"),
        (["empty.csv"], "is empty"),
        (["heading.csv"], "has no line below its heading"),
        (["nothing.csv"], "No line of .* is a sale"),
        (["some.csv", "--rate=-1"], "'-1' is neither a number from 0 on nor max"),
        (["some.csv", "--rate=nan"], "neither a number"),
        (["some.csv", "--rate=inf"], "neither a number"),
        (["some.csv", "--rate=fast"], "'fast' is neither"),
        (["some.csv", "--partitions=0"], "'0' is no number from 1 to 10,000"),
        (["some.csv", "--partitions=two"], "'two' is no number"),
        (["some.csv", "--topic=a b"], "'a b' is no topic"),
        (["some.csv", "--encoding=klingon"], "There is no encoding 'klingon'"),
        ([], "the following arguments are required: file"),
    ],
)
def test_what_a_newcomer_may_get_wrong(
    topics: KafkaStage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    words: str,
) -> None:
    (tmp_path / "empty.csv").touch()
    (tmp_path / "heading.csv").write_text(HEADING + "\n")
    (tmp_path / "nothing.csv").write_text(HEADING + "\n" + "1,2\n")
    (tmp_path / "some.csv").write_text(HEADING + "\n" + "1,2,x,1,1,,y\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandError, match=words):
        call_command("generate_sales", *arguments)
