"""`publish_prices` on a real Kafka: what it writes, and what the consumer makes of it."""

import hashlib
import io
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import example, given
from hypothesis import strategies as st

from streaming.kafka_log.partitions import partition_of
from streaming.kafka_log.transactions import Uncommitted
from streaming.pace import Pace
from streaming.prices.price_file import Cells, Line, opened
from streaming.prices.publishing import Publisher, record
from streaming.prices.rows import MAX_BYTES, Refusal, from_cells, from_message
from tests.services.waiting import until
from tests.streaming.prices.price_files import (
    HEADING,
    expected,
    expected_letters,
    lines,
    shared,
    written,
)
from tests.streaming.prices.stage import PricesStage


@pytest.fixture
def publish(
    prices_stage: PricesStage, settings: Any, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """`publish(path, …)`: runs the command on the stage's topic and Redis, what it wrote."""
    settings.PRICES_REDIS_URL = prices_stage.redis_url
    settings.PRICES_TOPIC, settings.PRICES_GROUP = prices_stage.topic, prices_stage.group

    def publish(*arguments: Any) -> str:
        call_command("publish_prices", *arguments)
        return capsys.readouterr().out

    return publish


def sent(stage: PricesStage) -> list[tuple[str, int, Any]]:
    """Source, row and record of all that is committed, by partition and offset."""
    found = []
    for _, records in sorted(stage.read(stage.topic).items()):
        for each in records:
            headers = dict(each.headers)
            found.append((headers["source"].decode(), int(headers["row"]), each))
    return found


def line_of(cells: Cells | Refusal, raw: bytes = b"") -> Line:
    return Line(1, 2, 17, raw, cells)


SOME = st.one_of(
    st.sampled_from(
        ["090006", "stock1", "Stock1", "", " ", "-5", "12.50", "1e5", "user1", "246060"]
    ),
    st.text(max_size=8),
)


@given(time=SOME, stock=SOME, price=SOME)
@example("090006", " Stock1 ", "007")
@example("090006", "stock1", "")
@example("9", "stock1", "1")
@example("090006", "stock1", "-1")
@example("090006", "stock\ud7ff", '"')
def test_the_consumer_makes_the_same_of_it(time: str, stock: str, price: str) -> None:
    """The same row, or a refusal for the same reason."""
    cells = from_cells(time, stock, price)
    key, value, reason = record(line_of(Cells(time, stock, price)))
    found = from_message(value)
    if isinstance(cells, Refusal):
        assert isinstance(found, Refusal)
        assert (found.reason, reason) == (cells.reason, cells.reason)
        assert json.loads(value) == {"time": time, "stock": stock, "price": price}
    else:
        assert (found, reason) == (cells, "")
        assert key == cells.stock.encode()


def test_messages_to_the_letter() -> None:
    assert record(line_of(Cells("090006", "Stock3", "1734.50"))) == (
        b"stock3",
        b'{"time": "090006", "stock": "stock3", "price": 1734.5}',
        "",
    )
    assert record(line_of(Cells("090006", "stock3", " "))) == (
        b"stock3",
        b'{"time": "090006", "stock": "stock3", "price": ""}',
        "",
    )


@pytest.mark.parametrize(
    "raw", ["090006,stock1", '{"time":"090006","time":"1","stock":"stock1","price":1}', "é,"]
)
def test_a_line_without_three_cells_keeps_its_text_and_fault(raw: str) -> None:
    """It can never be taken for a row."""
    refusal = Refusal("bad_line", "2 cells instead of 3")
    key, value, reason = record(line_of(refusal, raw.encode()))
    assert (key, reason) == (None, "bad_line")
    assert json.loads(value) == {"bad_line": raw, "detail": refusal.detail}
    found = from_message(value)
    assert isinstance(found, Refusal)
    assert (found.reason, "bad_line" in found.detail) == ("unknown_field", True)


@pytest.mark.parametrize(
    ("raw", "reason"), [(b"09\xff,stock1,1", "not_utf8"), (b"1" * (MAX_BYTES + 1), "too_large")]
)
def test_what_is_no_text_or_too_long_is_sent_as_it_is(raw: bytes, reason: str) -> None:
    assert record(line_of(Refusal(reason, ""), raw)) == (None, raw, reason)
    found = from_message(raw)
    assert isinstance(found, Refusal)
    assert found.reason == reason


def test_the_specifications_file_twice_and_by_the_other_way_too(
    prices_stage: PricesStage, publish: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    stage, path = prices_stage, shared("price_data.csv")
    said = publish(path)
    assert f"Made topic {stage.topic} with 1 partition." in said
    assert f"Published 510 rows to topic {stage.topic} (1 partition)" in said
    source = hashlib.sha256(path.read_bytes()).hexdigest()
    found = sent(stage)
    assert [(file, row) for file, row, _ in found] == [(source, row + 1) for row in range(510)]
    assert found[0][2].key == b"stock3"
    assert found[0][2].value == b'{"time": "090006", "stock": "stock3", "price": 1734}'

    stage.start()
    stage.wait_until_done()
    assert stage.values() == expected(path)
    publish(path)
    assert {file for file, _, _ in sent(stage)} == {source}
    stage.wait_until_done()
    assert stage.values() == expected(path)
    with pytest.raises(CommandError, match="came by Kafka"):
        call_command("load_prices", path)
    call_command("load_prices", path, "--add")
    assert "0 added, 510 repeated, 0 refused" in capsys.readouterr().out
    assert stage.values() == expected(path)

    said = publish(path, "--again")
    assert "They are added once more" in said
    stage.wait_until_done()
    assert stage.assert_right() == 1020
    assert len({file for file, _, _ in sent(stage)}) == 2


def test_several_partitions_keep_each_stocks_order_and_lines_that_are_no_rows(
    prices_stage: PricesStage, publish: Callable[..., str], tmp_path: Path
) -> None:
    stage = prices_stage
    path = written(tmp_path / "a.csv", [*lines(3000), "090006,stock1", 'x"', "09,stock1,1"])
    said = publish(path, "--partitions=3")
    assert "(3 partitions)" in said
    assert "63 rows of them will be refused (bad_time 61, bad_line 2)" in said
    found = sent(stage)
    assert sorted(row for _, row, _ in found) == list(range(1, 3004))
    by_stock: dict[bytes, list[int]] = {}
    for _, row, each in found:
        if each.key is not None:
            assert each.partition == partition_of(each.key, 3)
            by_stock.setdefault(each.key, []).append(row)
    assert len(by_stock) == 4
    assert all(rows == sorted(rows) for rows in by_stock.values())
    stage.start()
    stage.wait_until_done()
    assert stage.values() == expected(path)
    stage.assert_right()
    assert len(stage.letters()) == len(expected_letters(path))


def test_killed_in_the_middle_and_started_again(prices_stage: PricesStage, tmp_path: Path) -> None:
    """What is in the topic is a beginning of the file, and each row is added once."""
    stage = prices_stage
    path = written(tmp_path / "a.csv", lines(20_000))
    stage.create(2)
    stage.start()
    stage.wait_for_owners(1, 2)  # else all is published before anything is read
    for _ in range(2):
        before = sum(offset for offset, _ in stage.positions().values())
        process = stage.command("publish_prices", str(path), "--rate=1000")

        def is_beyond(before: int = before) -> bool:
            return sum(offset for offset, _ in stage.positions().values()) > before + 500

        try:
            until(is_beyond, 60)
        finally:
            process.child.kill()
            process.exit_code()
    rows = [row for _, row, _ in sorted(sent(stage), key=lambda each: each[2].timestamp)]
    assert sorted(set(rows)) == list(range(1, max(rows) + 1))
    assert max(rows) < 20_000
    last = stage.command("publish_prices", str(path))
    assert last.exit_code(120) == 0, last.log
    assert "Rows that were added before are left out" in last.log
    stage.wait_until_done()
    assert stage.values() == expected(path)
    stage.assert_right()


def test_a_file_that_grew_is_known_by_its_beginning(
    prices_stage: PricesStage, publish: Callable[..., str], tmp_path: Path
) -> None:
    """Also before the consumer has seen anything of it."""
    stage = prices_stage
    path = written(tmp_path / "a.csv", lines(40))
    first = hashlib.sha256(path.read_bytes()).hexdigest()
    publish(path, "--partitions=3")
    written(path, lines(45))
    second = hashlib.sha256(path.read_bytes()).hexdigest()
    publish(path)
    again = sorted((row, file) for file, row, _ in sent(stage))
    assert [file for row, file in again if row <= 40] == [first] * 80
    assert [file for row, file in again if row > 40] == [second] * 5
    stage.start()
    stage.wait_until_done()
    assert stage.values() == expected(path)


def test_an_end_that_is_asked_for(
    prices_stage: PricesStage,
    publish: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
) -> None:
    settings.PRICES_BATCH = 100
    path = written(tmp_path / "a.csv", lines(1000))
    commit = Publisher._commit

    def ended(self: Publisher, *arguments: Any) -> int:
        signal.raise_signal(signal.SIGINT)
        return commit(self, *arguments)

    monkeypatch.setattr(Publisher, "_commit", ended)
    # The second signal would end it at once.
    monkeypatch.setattr(signal, "raise_signal", once(signal.raise_signal))
    with pytest.raises(CommandError, match=r"Ended before the end .* rows were published\. Start"):
        publish(path)
    rows = [row for _, row, _ in sent(prices_stage)]
    assert rows == list(range(1, len(rows) + 1)) and 100 <= len(rows) < 1000


def once(function: Callable[[Any], None]) -> Callable[[Any], None]:
    left = [function]
    return lambda argument: left.pop()(argument) if left else None


def test_of_two_of_one_file_the_second_goes_on(
    prices_stage: PricesStage, publish: Callable[..., str], tmp_path: Path
) -> None:
    """The first one ends, and leaves no hole."""
    stage = prices_stage
    stage.create(1)
    path = written(tmp_path / "a.csv", lines(300))
    publish(path, "--rate=max")
    before = len(sent(stage))

    def publisher() -> Publisher:
        return Publisher(f"{stage.group}.publish.same", stage.topic, batch=50, pace=Pace(None))

    first, others = publisher(), []
    with opened(path) as file:
        with pytest.raises(Uncommitted):
            first.run(
                file.reading(file.beginning()),
                lambda line: "a" * 64,
                lambda: False,
                lambda count: others.append(publisher()) if first.tally.rows == 100 else None,
            )
    first.close()
    others[0].close()
    assert first.tally.rows == 100
    assert [row for _, row, _ in sent(stage)[before:]] == list(range(1, 101))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_notes_and_the_bar_of_a_terminal(
    prices_stage: PricesStage,
    publish: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = written(tmp_path / "a.csv", lines(10))
    prices_stage.redis.hset("prices:positions", f"kafka:{prices_stage.topic}:0", "5 id")
    call_command("publish_prices", path)
    assert "rows of a former topic" in capsys.readouterr().err
    call_command("publish_prices", path, "--partitions=4")
    assert "has 1 partition already" in capsys.readouterr().err
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    publish(path, "--no-progress")
    assert terminal.getvalue() == ""
    publish(path, "--rate=100")
    assert f"Publish to {prices_stage.topic}: 10" in terminal.getvalue()


def test_engines_that_are_away(
    prices_stage: PricesStage, publish: Callable[..., str], tmp_path: Path, settings: Any
) -> None:
    path = written(tmp_path / "a.csv", lines(10))
    url, settings.PRICES_REDIS_URL = settings.PRICES_REDIS_URL, "redis://127.0.0.1:1/0"
    with pytest.raises(CommandError, match=r"PRICES_REDIS_URL\) knows .*127\.0\.0\.1:1"):
        publish(path)
    assert not prices_stage.partitions(prices_stage.topic)
    settings.PRICES_REDIS_URL = url
    settings.KAFKA_BOOTSTRAP_SERVERS = ["127.0.0.1:1"]
    with pytest.raises(CommandError, match=r"127\.0\.0\.1:1"):
        publish(path)
    settings.KAFKA_BOOTSTRAP_SERVERS = []
    with pytest.raises(CommandError, match="Set KAFKA_BOOTSTRAP_SERVERS"):
        publish(path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.csv"], "none.csv: No such file"),
        (["wrong.csv"], "'Time,Stock'"),
        (["empty.csv"], "no row below its heading"),
        (["some.csv", "--rate=fast"], "'fast' is neither"),
        (["some.csv", "--partitions=0"], "'0' is no number from 1 to 10,000"),
        ([], "the following arguments are required: file"),
    ],
)
def test_what_a_newcomer_may_get_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    (tmp_path / "wrong.csv").write_text("Time,Stock\n1,2\n")
    (tmp_path / "empty.csv").write_text(HEADING + "\n")
    written(tmp_path / "some.csv", lines(3))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandError, match=words):
        call_command("publish_prices", *arguments)
