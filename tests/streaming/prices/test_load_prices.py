"""`load_prices` on a real Valkey, against an independent script, also killed in the middle."""

import hashlib
import io
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.management import CommandError, call_command

from config.services.engine import Engine
from streaming.prices import loading, sources
from streaming.prices.price_file import opened
from streaming.prices.rows import Row
from streaming.prices.store import Batch, Moved, Store
from tests.consumers.processes import Process
from tests.services.waiting import until
from tests.streaming.prices.judge import SAMPLE, address
from tests.streaming.prices.price_files import (
    HEADING,
    expected,
    expected_letters,
    letters,
    lines,
    shared,
    values,
    written,
)


@pytest.fixture(autouse=True)
def _redis_of_the_command(valkey: redis.Redis, valkey_engine: Engine, settings: Any) -> None:
    settings.PRICES_REDIS_URL = address(valkey_engine)
    settings.PRICES_BATCH = 100


@pytest.fixture
def load(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """`load(path, …)`: runs the command, what it wrote."""

    def load(*arguments: Any) -> str:
        call_command("load_prices", *arguments)
        return capsys.readouterr().out

    return load


def position(client: redis.Redis) -> dict[str, Any]:
    text: Any = client.hget("prices:positions", "csv")
    found: dict[str, Any] = json.loads(text or b'{"rows": 0}')
    return found


def by_kafka(client: redis.Redis, *rows: Row) -> None:
    """What the consumer does."""
    numbered = [(at, row, b"") for at, row in enumerate(rows)]
    Store(client).apply(Batch("kafka:main_topic:0", None, f"{len(rows)} id", numbered))


def test_the_specifications_file(valkey: redis.Redis, load: Callable[..., str]) -> None:
    path = shared("price_data.csv")
    assert "Read 510 rows" in (said := load(path)) and "510 added, 0 repeated, 0 refused" in said
    assert "Stocks: stock1, stock2, stock3." in said
    found = values(valkey)
    assert found == expected(path)
    assert found["stock3"].startswith('{"id":3,"time":["090006","090016",')
    content = path.read_bytes()
    assert position(valkey) == {
        "bytes": len(content),
        "rows": 510,
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    assert "Nothing to add: all rows" in load(path)
    assert values(valkey) == found


def test_it_begins_with_the_values_that_are_there(
    valkey: redis.Redis, load: Callable[..., str], tmp_path: Path
) -> None:
    for name, text in SAMPLE.items():
        valkey.set(name, text)
    load(written(tmp_path / "a.csv", ["090006,Stock3,1734", "090010,stock3,"]))
    assert valkey.get("stock3") == (
        b'{"id":3,"time":["09:00","09:01","090006","090010"],"price":[1682,"",1734,""],'
        b'"performance":0}'
    )
    assert valkey.get("stock1") == SAMPLE["stock1"].encode()


def test_refused_rows_are_kept_with_their_place(
    valkey: redis.Redis, load: Callable[..., str], tmp_path: Path
) -> None:
    valkey.rpush("stock9", "a list")
    rows = [*lines(230), "090006,stock1", "", "090007,stock1,-5", "090008,stock9,5"]
    path = written(tmp_path / "a.csv", rows)
    said = load(path)
    own = [*expected_letters(path), (233, "not_a_stock")]
    assert letters(valkey) == own
    assert [each[1] for each in own] == ["bad_time"] * 5 + [
        "bad_line",
        "negative_price",
        "not_a_stock",
    ]
    assert "225 added, 0 repeated, 8 refused" in said
    assert "  bad_time: 5\n" in said and "  not_a_stock: 1\n" in said
    details = [fields[b"detail"] for _, fields in valkey.xrange("prices:dead_letters")]
    assert details[0].startswith(b"line 19: time ")
    assert details[6].startswith(b"line 234: price ")  # the blank line counts as a line
    assert valkey.lrange("stock9", 0, -1) == [b"a list"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("whole_line", [True, False])
def test_a_file_that_grew_adds_its_new_rows(
    valkey: redis.Redis, load: Callable[..., str], tmp_path: Path, end: str, whole_line: bool
) -> None:
    path = written(tmp_path / "a.csv", lines(250), end)
    if not whole_line:
        path.write_bytes(path.read_bytes().removesuffix(end.encode()))
    load(path)
    for count in (251, 300, 555):
        written(path, lines(count), end)
        assert "Goes on behind row " in load(path)
        assert values(valkey) == expected(path)
    assert letters(valkey) == expected_letters(path)
    assert "Nothing to add" in load(path)


def test_a_line_that_was_cut_is_told(load: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{HEADING}\n090006,stock1,17")
    load(path)
    path.write_text(f"{HEADING}\n090006,stock1,1734\n")
    with pytest.raises(CommandError, match=r"Line 2 of .* was read when it had no line end"):
        load(path)
    load(path, "--replace")


def test_another_file_is_refused_added_or_put_in_the_place(
    valkey: redis.Redis, load: Callable[..., str], tmp_path: Path
) -> None:
    first = written(tmp_path / "first.csv", lines(120))
    second = written(tmp_path / "second.csv", lines(130, start=5000))
    load(first)
    before = values(valkey)
    with pytest.raises(CommandError, match=r"another file than .* `--add` .* `--replace`"):
        load(second)
    assert values(valkey) == before
    assert "127 added, 0 repeated, 3 refused" in load(second, "--add")
    both = written(tmp_path / "both.csv", lines(120) + lines(130, start=5000))
    assert values(valkey) == expected(both)
    assert "Nothing to add" in load(second)
    assert "0 added, 117 repeated, 3 refused" in load(first, "--add")
    assert values(valkey) == expected(both)
    assert "Forgot the histories of 4 stocks" in load(first, "--replace")
    assert values(valkey) == before
    with pytest.raises(CommandError, match="not allowed with"):
        load(first, "--add", "--replace")


def test_a_changed_beginning_is_another_file(load: Callable[..., str], tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", lines(120))
    load(path)
    written(path, ["090006,stock1,5", *lines(130)])
    with pytest.raises(CommandError, match="or its beginning was changed"):
        load(path)


def test_a_position_of_somebody_else_is_no_beginning(
    valkey: redis.Redis, load: Callable[..., str], tmp_path: Path
) -> None:
    valkey.hset("prices:positions", "csv", "what?")
    path = written(tmp_path / "a.csv", lines(10))
    with pytest.raises(CommandError, match="another file"):
        load(path)
    assert "10 added" in load(path, "--add")


def test_history_by_kafka_is_not_mixed_up(
    valkey: redis.Redis, load: Callable[..., str], tmp_path: Path
) -> None:
    """Rows of this file that came by Kafka are left out, those of others stay."""
    path = written(tmp_path / "a.csv", ["090000,stock1,1", "090001,stock1,2", "090002,stock2,3"])
    source = hashlib.sha256(path.read_bytes()).hexdigest()
    by_kafka(valkey, Row("stock1", "085959", "9"), Row("stock1", "090000", "1", source, 1))
    with pytest.raises(CommandError, match=r"came by Kafka\. `--add` adds those of this file, "):
        load(path)
    assert "2 added, 1 repeated" in load(path, "--add")
    assert values(valkey)["stock1"] == (
        '{"id":1,"time":["085959","090000","090001"],"price":[9,1,2],"performance":0}'
    )
    assert "Nothing to add" in load(path)
    written(path, ["090000,stock1,1", "090001,stock1,2", "090002,stock2,3", "090003,stock2,4"])
    with pytest.raises(CommandError, match="adds those of this file behind row 3"):
        load(path)
    assert "Goes on behind row 3" in (said := load(path, "--add")) and "1 added" in said
    load(path, "--replace")
    assert values(valkey) == expected(path)
    assert valkey.hget("prices:positions", "kafka:main_topic:0") == b"2 id"


def test_a_file_that_grew_and_came_by_kafka_too_is_added_once(
    valkey: redis.Redis, load: Callable[..., str], tmp_path: Path
) -> None:
    """Also the rows of stocks that have none of the new ones."""
    path = written(tmp_path / "a.csv", lines(140))
    load(path)
    written(path, [*lines(140), "160000,stock1,7"])
    load(path)
    right = values(valkey)
    with opened(path) as file:
        survey = file.survey(known=sources.known(Store(valkey)))
        read = [loading.read(line, survey) for line in file.reading(file.beginning())]
    rows = [each for each in read if isinstance(each, Row)]
    assert len({row.source for row in rows}) == 2
    by_kafka(valkey, *rows)
    assert values(valkey) == right == expected(path)


def test_a_file_that_grew_after_it_came_by_kafka_adds_its_new_rows(
    valkey: redis.Redis, load: Callable[..., str], tmp_path: Path
) -> None:
    path = written(tmp_path / "a.csv", lines(140))
    with opened(path) as file:
        survey = file.survey()
        read = [loading.read(line, survey) for line in file.reading(file.beginning())]
    by_kafka(valkey, *(row for row in read if isinstance(row, Row)))
    written(path, [*lines(140), "160000,stock1,7"])
    assert "1 added, 137 repeated, 3 refused" in load(path, "--add")
    assert values(valkey) == expected(path)


def test_of_two_at_once_one_ends(
    valkey: redis.Redis, load: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "a.csv", lines(350))
    apply, times = Store.apply, iter(range(99))

    def interrupted(self: Store, batch: Batch) -> Any:
        if next(times) == 2:  # another one comes and does the rest
            monkeypatch.setattr(Store, "apply", apply)
            load(path)
        return apply(self, batch)

    monkeypatch.setattr(Store, "apply", interrupted)
    with pytest.raises(CommandError, match=r"Another load_prices .* 200 rows of this run are in"):
        load(path)
    assert values(valkey) == expected(path)
    assert letters(valkey) == expected_letters(path)


def test_a_batch_that_nobody_answered_is_not_made_twice(
    valkey: redis.Redis, load: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "a.csv", lines(350))
    apply, times = Store.apply, iter(range(99))

    def unanswered(self: Store, batch: Batch) -> Any:
        found = apply(self, batch)
        if next(times) == 1:
            raise redis.TimeoutError("no answer")
        return found

    monkeypatch.setattr(Store, "apply", unanswered)
    with pytest.raises(CommandError, match=r"no answer 100 rows of this run are in\. Start it"):
        load(path)
    assert "Goes on behind row 200" in load(path)
    assert values(valkey) == expected(path)


def test_a_file_that_changes_while_it_is_read_is_told(
    valkey: redis.Redis, load: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "a.csv", lines(2000))
    apply = Store.apply

    def changing(self: Store, batch: Batch) -> Any:
        monkeypatch.setattr(Store, "apply", apply)
        content = path.read_bytes()
        path.write_bytes(content[:-3] + b"0" + content[-2:])
        return apply(self, batch)

    monkeypatch.setattr(Store, "apply", changing)
    with pytest.raises(CommandError, match="was changed while it was read"):
        load(path)
    assert position(valkey)["rows"] < 2000


def test_an_end_that_is_asked_for(
    valkey: redis.Redis, load: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "a.csv", lines(350))
    apply = Store.apply

    def ended(self: Store, batch: Batch) -> Any:
        signal.raise_signal(signal.SIGINT)
        return apply(self, batch)

    monkeypatch.setattr(Store, "apply", ended)
    with pytest.raises(CommandError, match=r"Ended before the end of the file\. 100 rows"):
        load(path)
    assert position(valkey)["rows"] == 100
    monkeypatch.setattr(Store, "apply", apply)
    assert "Goes on behind row 100" in load(path)
    assert values(valkey) == expected(path)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_a_bar(
    load: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    path = written(tmp_path / "a.csv", lines(350))
    load(path, "--no-progress")
    assert terminal.getvalue() == ""
    load(path, "--replace")
    assert "Load a.csv: 100%" in terminal.getvalue()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.csv"], "none.csv: No such file"),
        (["."], "not a regular file"),
        (["wrong.csv"], "'Time,Stock'"),
        (["wrong.csv", "--replace"], "'Time,Stock'"),
        ([], "the following arguments are required: file"),
    ],
)
def test_what_a_newcomer_may_get_wrong(
    valkey: redis.Redis,
    load: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    words: str,
) -> None:
    load(written(tmp_path / "a.csv", lines(10)))
    before = values(valkey)
    (tmp_path / "wrong.csv").write_text("Time,Stock\n1,2\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandError, match=words):
        load(*arguments)
    assert values(valkey) == before


def test_redis_away(load: Callable[..., str], tmp_path: Path, settings: Any) -> None:
    settings.PRICES_REDIS_URL = "redis://:secret@127.0.0.1:1/0"
    with pytest.raises(CommandError, match=r"PRICES_REDIS_URL\): .*127\.0\.0\.1:1") as told:
        load(written(tmp_path / "a.csv", lines(10)))
    assert "secret" not in str(told.value)


def test_moved_is_the_stores(valkey: redis.Redis) -> None:
    """What the command takes for another one is what the store raises."""
    store = Store(valkey)
    store.apply(Batch("csv", None, "a", []))
    with pytest.raises(Moved):
        store.apply(Batch("csv", None, "b", []))


# As processes


def command(url: str, log: Path, *arguments: object, batch: int = 500) -> Process:
    return Process(
        ["manage.py", "load_prices", *map(str, arguments)],
        {"PRICES_REDIS_URL": url, "PRICES_BATCH": str(batch), "STOCKROOM_VAR": str(log.parent)},
        log,
    )


@pytest.mark.parametrize(
    ("rows", "kills"),
    [(30_000, 3), pytest.param(200_000, 5, marks=pytest.mark.soak)],
)
def test_killed_again_and_again_it_adds_each_row_once(
    valkey: redis.Redis, valkey_engine: Engine, tmp_path: Path, rows: int, kills: int
) -> None:
    """Killed in the middle of its work, judged by the independent script."""
    path = written(tmp_path / "a.csv", lines(rows, stocks=11), "\r\n")
    reached = []
    for kill in range(kills):
        process = command(address(valkey_engine), tmp_path / f"{kill}.log", path, batch=100)
        beyond = position(valkey)["rows"] + rows // 25

        def is_beyond(beyond: int = beyond) -> bool:
            return bool(position(valkey)["rows"] >= beyond)

        try:
            until(is_beyond, 120)
        finally:
            process.child.kill()
            process.exit_code()
        reached.append(position(valkey)["rows"])
    assert reached == sorted(set(reached))
    assert reached[-1] < rows
    last = command(address(valkey_engine), tmp_path / "last.log", path)
    assert last.exit_code(300) == 0, last.log
    assert f"Goes on behind row {reached[-1]:,}." in last.log
    assert values(valkey) == expected(path)
    assert letters(valkey) == expected_letters(path)
    before = valkey.dbsize(), valkey.xlen("prices:dead_letters")
    again = command(address(valkey_engine), tmp_path / "again.log", path)
    assert again.exit_code(60) == 0
    assert "Nothing to add" in again.log
    assert values(valkey) == expected(path)
    assert (valkey.dbsize(), valkey.xlen("prices:dead_letters")) == before


def test_redis_that_dies_in_the_middle_ends_it_with_1_and_a_reason(
    prices_redis: Engine, tmp_path: Path
) -> None:
    url = prices_redis.variables()["PRICES_REDIS_URL"]
    path = written(tmp_path / "a.csv", lines(30_000))
    process = command(url, tmp_path / "first.log", path, batch=100)
    with redis.Redis.from_url(url) as client:
        until(lambda: position(client)["rows"] > 1_000, 60)
        prices_redis.kill()
        assert process.exit_code(60) == 1
    assert "CommandError: Redis (PRICES_REDIS_URL): " in process.log
    assert "of this run are in. Start it again: it goes on where it stopped." in process.log
    assert "Traceback" not in process.log
    prices_redis.start()
    with redis.Redis.from_url(url) as client:
        second = command(url, tmp_path / "second.log", path, batch=5_000)
        assert second.exit_code(120) == 0, second.log
        assert "Goes on behind row" in second.log
        assert values(client) == expected(path)
        assert letters(client) == expected_letters(path)


def test_ctrl_c_ends_a_process_cleanly(
    valkey: redis.Redis, valkey_engine: Engine, tmp_path: Path
) -> None:
    path = written(tmp_path / "a.csv", lines(30_000))
    process = command(address(valkey_engine), tmp_path / "first.log", path, batch=100)
    until(lambda: position(valkey)["rows"] > 1_000, 60)
    process.send(signal.SIGINT)
    assert process.exit_code(60) == 1
    assert "Ended before the end of the file." in process.log
    assert "Traceback" not in process.log
    assert position(valkey)["rows"] < 30_000
    with opened(path) as file:
        store = Store(valkey)
        load = loading.Load(store, file, add=False, replace=False)
        assert load.run(10_000, lambda: False, lambda count: None)
    assert values(valkey) == expected(path)
