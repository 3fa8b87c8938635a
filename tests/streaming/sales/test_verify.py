"""verify_sales on real Kafka and PostgreSQL: quiet on right streams, finds each planted fault."""

import io
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from streaming.kafka_log import reader
from streaming.management.commands.verify_sales import joined
from streaming.sales.limits import Limits
from streaming.sales.partition import PartitionState
from streaming.sales.verify import batches, instants
from tests.services.waiting import until
from tests.streaming.sales.kafka_stage import sale
from tests.streaming.sales.verify_log import VerifyLog, Written

pytestmark = pytest.mark.django_db

T0 = 1_700_000_000
FROM = datetime.fromtimestamp(T0, UTC).isoformat()


def at(seconds: float) -> str:
    return datetime.fromtimestamp(T0 + seconds, UTC).isoformat()


class Verdict(NamedTuple):
    code: int
    text: str


def verify(*arguments: str) -> Verdict:
    output = io.StringIO()
    try:
        call_command("verify_sales", *arguments, stdout=output, verbosity=0)
    except SystemExit as exit_:
        assert isinstance(exit_.code, int)
        return Verdict(exit_.code, output.getvalue())
    except CommandError as error:
        return Verdict(error.returncode, str(error))
    return Verdict(0, output.getvalue())


@pytest.fixture
def make_log(kafka: Any, settings: Any) -> Iterator[Callable[..., VerifyLog]]:
    made = []

    def make(partitions: int = 1, **input_settings: str) -> VerifyLog:
        log = VerifyLog(settings, partitions, **input_settings)
        made.append(log)
        return log

    yield make
    for log in made:
        log.close()


@pytest.fixture
def log(make_log: Callable[..., VerifyLog]) -> VerifyLog:
    return make_log()


def written(code: str, seconds: float, amount: float = 1, *, at_s: float | None = None) -> Written:
    """A sale at T0 + `seconds`, stamped then or at T0 + `at_s`."""
    stamp = round((T0 + (seconds if at_s is None else at_s)) * 1000)
    return Written(stamp, code.encode(), sale(code, T0 + seconds, 1, amount))


def mixed(count: int, seed: int, step: float = 0.5) -> list[Written]:
    """A stream with ties, late, too late, early and malformed ones, and NaN wherever it may be."""
    random_ = random.Random(seed)
    records = []
    for number in range(count):
        now = number * step
        code = random_.choice(["21491", "85123A", "85123a", "é漢😀", "22423", "POST"])
        behind = random_.choice([0, 0, 0, 1, 10, 300, 599, 600, 601, 650, -200, -301])
        seconds = round(now) - behind if random_.random() < 0.5 else now - behind / 2
        record = written(
            code,
            seconds,
            random_.choice([0.1, 0.2, 2.55, -3.25, 1e-6, 12345.678901]),
            at_s=now,
        )
        if random_.random() < 0.1:
            bad = random_.choice(
                [
                    None,
                    b"",
                    b"\xff",
                    b"{",
                    b"NaN",
                    b"{}",
                    sale("x" * 129, T0),
                    sale("a", float("nan")),
                    sale("a", T0, float("inf")),
                    sale("a", T0, 1, 1e-7),
                    sale("a", T0, 2**62, 1e6),
                    b"x" * 100_000,
                ]
            )
            record = record._replace(value=bad)
        records.append(record)
    return records


def test_the_table_of_the_spec(log: VerifyLog) -> None:
    table = [
        (32, "1", 10, 2, "20.0"),
        (33, "2", 20, 1, "20.0"),
        (37, "1", 10, 2, "40.0"),
        (45, "2", 20, 1, "20.0"),
        (46, "2", 20, 3, "80.0"),
        (47, "1", 10, 2, "40.0"),
        (48, "2", 20, 1, "100.0"),
        (49, "1", 10, 3, "50.0"),
        (50, "2", 20, 1, "120.0"),
        (51, "2", 20, 3, "180.0"),
    ]
    records = log.take(
        Written(
            (T0 + minute * 60) * 1000, code.encode(), sale(code, T0 + minute * 60, quantity, price)
        )
        for minute, code, price, quantity, _ in table
    )
    log.put_out(
        [
            Written(
                (T0 + minute * 60) * 1000,
                code.encode(),
                (
                    f'{{"StockCode": "{code}", "Epoch": {T0 + minute * 60}, '
                    f'"10minutesSum": {total}}}'
                ).encode(),
            )
            for minute, code, _, _, total in table
        ],
        [],
    )
    log.commit(records[-1].offset + 1)
    verdict = verify("--from", FROM)
    assert verdict.code == 0, verdict.text
    assert "10 inputs, 10 outputs, 0 dead letters" in verdict.text


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_stream_of_everything_is_equal(
    log: VerifyLog, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "RECORDS", [97, 300, 5000][seed - 1])
    records = log.take(mixed(1500, seed))
    log.work_off(records)
    outputs, letters = log.outcome(records)
    verdict = verify("--from", at(-4000))
    assert verdict.code == 0, verdict.text
    assert f"{len(outputs):,} outputs, {len(letters):,} dead letters" in verdict.text
    assert len(letters) > 100


def test_what_partition_state_makes_is_equal(log: VerifyLog) -> None:
    given = [each for each in mixed(800, 11) if each.value]
    records = log.take(given)
    outcomes, halt = PartitionState(Limits(600, 600, 300)).take(records)
    assert halt is None
    outputs, letters = [], []
    for record, outcome in zip(records, outcomes, strict=True):
        if hasattr(outcome, "reason"):
            letters.append(log.letter(record, outcome.reason))
        else:
            outputs.append(Written(record.timestamp, outcome.key, outcome.value))
    log.put_out(outputs, letters)
    log.commit(records[-1].offset + 1)
    verdict = verify("--from", at(-4000))
    assert verdict.code == 0, verdict.text
    assert "partition 0: 800 inputs" not in verdict.text  # some were empty


Parts = tuple[list[Written], list[Written]]


def changed(value: bytes | None, by: float) -> bytes:
    assert value is not None
    head, _, total = value.decode().rpartition(" ")
    return f"{head} {float(total[:-1]) + by:.6f}}}".encode()


def wrong_sum(outputs: list[Written], letters: list[Written]) -> str:
    total = json.loads(outputs[70].value or b"")["10minutesSum"]
    digits = f"{total + 0.000001:.6f}".rstrip("0")
    value = (outputs[70].value or b"").replace(f"{total}}}".encode(), f"{digits}}}".encode())
    assert value != outputs[70].value
    outputs[70] = outputs[70]._replace(value=value)
    return "wrong sum"


def doubled(outputs: list[Written], letters: list[Written]) -> str:
    outputs.insert(80, outputs[60])
    return "output doubled"


def lost(outputs: list[Written], letters: list[Written]) -> str:
    del outputs[70]
    return "output missing"


def swapped(outputs: list[Written], letters: list[Written]) -> str:
    place = next(n for n in range(70, 200) if outputs[n].value != outputs[n + 1].value)
    outputs[place], outputs[place + 1] = outputs[place + 1], outputs[place]
    return "out of order"


def foreign(outputs: list[Written], letters: list[Written]) -> str:
    value = b'{"StockCode": "none", "Epoch": 1700000000.5, "10minutesSum": 1.0}'
    outputs.insert(70, outputs[70]._replace(key=b"none", value=value))
    return "output without input"


def no_output(outputs: list[Written], letters: list[Written]) -> str:
    outputs.insert(70, outputs[70]._replace(value=b'{"hello": NaN}'))
    return "not an output"


def other_key(outputs: list[Written], letters: list[Written]) -> str:
    outputs[70] = outputs[70]._replace(key=b"invoice")
    return "wrong key"


def no_letter(outputs: list[Written], letters: list[Written]) -> str:
    del letters[20]
    return "dead letter missing"


def two_letters(outputs: list[Written], letters: list[Written]) -> str:
    letters.append(letters[20])
    return "dead letter doubled"


def other_reason(outputs: list[Written], letters: list[Written]) -> str:
    headers = dict(letters[0].headers)
    headers["reason"] = b"late" if headers["reason"] == b"empty" else b"empty"
    letters[0] = letters[0]._replace(headers=list(headers.items()))
    return "dead letter with another reason"


def other_value(outputs: list[Written], letters: list[Written]) -> str:
    letters[20] = letters[20]._replace(value=(letters[20].value or b"") + b" ")
    return "dead letter of another content"


def letter_of_an_accepted_record(outputs: list[Written], letters: list[Written]) -> str:
    headers = dict(letters[20].headers) | {"offset": b"0"}
    letters.append(letters[20]._replace(headers=list(headers.items())))
    return "dead letter of an accepted record"


@pytest.mark.parametrize(
    "plant",
    [
        wrong_sum,
        doubled,
        lost,
        swapped,
        foreign,
        no_output,
        other_key,
        no_letter,
        two_letters,
        other_reason,
        other_value,
        letter_of_an_accepted_record,
    ],
)
def test_a_planted_fault_is_found(
    log: VerifyLog,
    plant: Callable[[list[Written], list[Written]], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    records = log.take([written("21491", 0), *mixed(300, 5)])
    outputs, letters = log.outcome(records)
    kind = plant(outputs, letters)
    log.put_out(outputs, letters)
    log.commit(records[-1].offset + 1)
    for batch in (5000, 50):
        monkeypatch.setattr(batches, "RECORDS", batch)
        verdict = verify("--from", at(-10))
        assert verdict.code == 1, verdict.text
        assert f"    {kind}: 1\n" in verdict.text
        assert "DIFFERENT: 1 differences" in verdict.text


def test_a_wrong_sum_is_shown_with_its_place(log: VerifyLog) -> None:
    records = log.take([written("A", 0, 5), written("A", 1, 2.5)])
    outputs, letters = log.outcome(records)
    outputs[1] = outputs[1]._replace(value=(outputs[1].value or b"").replace(b"7.5}", b"7.500001}"))
    log.put_out(outputs, letters)
    log.commit(2)
    verdict = verify("--from", FROM)
    assert verdict.code == 1
    assert (
        "wrong sum, partition 0, offset 1, StockCode A, Epoch 1700000001:"
        " expected 7.5, found 7.500001 at output 1" in verdict.text
    )


def test_only_some_differences_are_shown(log: VerifyLog) -> None:
    records = log.take(written("A", each) for each in range(30))
    log.commit(30)
    assert len(records) == 30
    verdict = verify("--from", FROM, "--show", "3")
    assert verdict.code == 1
    assert verdict.text.count("output missing, partition 0") == 3
    assert "output missing: 30" in verdict.text


def test_a_range_that_cuts_windows(log: VerifyLog) -> None:
    records = log.take(mixed(3000, 7, step=1))
    outputs, letters = log.outcome(records)
    # A fault before and one after the range are none of its business.
    outputs[100] = outputs[100]._replace(value=changed(outputs[100].value, 1))
    outputs[-1] = outputs[-1]._replace(value=changed(outputs[-1].value, 1))
    log.put_out(outputs, letters)
    log.commit(records[-1].offset + 1)
    verdict = verify("--from", at(2000), "--to", at(2300.5))
    assert verdict.code == 0, verdict.text
    assert "301 inputs" in verdict.text
    assert verify("--from", at(-10)).code == 1


def test_what_is_not_committed_does_not_count(log: VerifyLog) -> None:
    records = log.take(mixed(300, 3))
    outputs, letters = log.outcome(records)
    # 200 are committed; the outputs of some more are there already.
    early = sum(1 for each in outputs if each.timestamp_ms < records[230].timestamp)
    late = sum(1 for each in letters if each.timestamp_ms < records[230].timestamp)
    log.put_out(outputs[:early], letters[:late])
    log.commit(200)
    verdict = verify("--from", at(-10))
    assert verdict.code == 0, verdict.text
    assert "EQUAL: 200 inputs" in verdict.text


def test_late_arrivals_are_read_from_further_back(log: VerifyLog) -> None:
    """All events are 5,000 s old when they come, so the window begins long before the range."""
    records = log.take(written("A", each, at_s=each + 5000) for each in range(0, 9000, 10))
    log.work_off(records)
    verdict = verify("--from", at(11_000), "--to", at(12_000))
    assert verdict.code == 0, verdict.text
    assert "100 inputs" in verdict.text


def test_a_watermark_far_before_the_range_is_found(log: VerifyLog) -> None:
    """A stream of today, then one of long ago: the second is late, whatever its range shows."""
    today = [written("A", each) for each in range(10)]
    records = log.take(
        [*today, *(written("A", each - 5000, at_s=each) for each in range(3000, 3100))]
    )
    log.work_off(records)
    verdict = verify("--from", at(3050))
    assert verdict.code == 0, verdict.text
    assert "50 inputs = 0 accepted + 50 refused" in verdict.text


def test_what_retention_deleted_is_said(log: VerifyLog) -> None:
    records = log.take(written("A", each) for each in range(0, 3000, 10))
    log.work_off(records)
    log.delete(log.data, 100)
    verdict = verify("--from", FROM)
    assert verdict.code == 2, verdict.text
    assert "not verified up to 2023-11-14 22:30:00.001Z" in verdict.text
    assert "inputs could not be verified" in verdict.text
    # Far enough from what was deleted all is known.
    verdict = verify("--from", at(2600))
    assert verdict.code == 0, verdict.text
    log.delete(log.agg, 280)
    verdict = verify("--from", at(2600))
    assert verdict.code == 2
    assert f"{log.agg} has deleted" in verdict.text


def test_several_partitions_and_one_of_them(make_log: Callable[..., VerifyLog]) -> None:
    log = make_log(3)
    for partition in range(3):
        records = log.take(mixed(200, partition), partition)
        outputs, letters = log.outcome(records, partition)
        log.put_out(outputs[:-1] if partition == 1 else outputs, letters, partition)
        log.commit(records[-1].offset + 1, partition)
    assert verify("--from", at(-10), "--partition", "0", "2").code == 0
    verdict = verify("--from", at(-10))
    assert verdict.code == 1
    assert "output missing: 1" in verdict.text
    assert "partition 2: 200 inputs" in verdict.text
    verdict = verify("--from", at(-10), "--partition", "3")
    assert verdict.code == 2
    assert "no partition 3" in verdict.text


def test_stamps_of_the_broker_and_transactions(make_log: Callable[..., VerifyLog]) -> None:
    """As the system is run: LogAppendTime, and outputs in transactions with marks between them."""
    log = make_log(message_timestamp_type="LogAppendTime")
    now = datetime.now(UTC).timestamp()
    records = log.take(
        Written(0, b"A", sale("A" if number % 3 else "B", now - number % 7, 1, 0.1))
        for number in range(300)
    )
    outputs, letters = log.outcome(records)
    assert letters == []
    for first in range(0, 300, 50):
        log.write(log.agg, outputs[first : first + 50], transaction=True)
    log.commit(300)
    verdict = verify()
    assert verdict.code == 0, verdict.text
    assert "EQUAL: 300 inputs, 300 outputs" in verdict.text
    end = instants.shown(records[-1].timestamp)
    verdict = verify("--to", end)
    assert verdict.code == 0, verdict.text
    # Work done again long after: outputs of before the range among those of the range.
    log.write(log.agg, [outputs[0]._replace(timestamp_ms=outputs[0].timestamp_ms - 3_600_000)])
    verdict = verify()
    assert verdict.code == 1
    assert "output of before the range: 1" in verdict.text


def test_a_dead_letter_of_no_record(make_log: Callable[..., VerifyLog]) -> None:
    """Offset 1 is the mark of a transaction."""
    log = make_log(message_timestamp_type="LogAppendTime")
    now = datetime.now(UTC).timestamp()
    log.write(log.data, [Written(0, b"A", sale("A", now))], transaction=True)
    records = log.take([Written(0, b"A", b"{}")])
    assert records[0].offset == 2
    output = b'{"StockCode": "A", "Epoch": %s, "10minutesSum": 1.0}' % repr(now).encode()
    letter = log.letter(records[0], "missing_field")
    astray = dict(letter.headers) | {"offset": b"1"}
    first_ms = records[0].timestamp
    log.put_out(
        [Written(first_ms, b"A", output)],
        [letter._replace(headers=list(astray.items())), letter],
    )
    log.commit(3)
    verdict = verify()
    assert verdict.code == 1
    assert "dead letter without input: 1" in verdict.text


def test_nothing_in_range(log: VerifyLog) -> None:
    log.work_off(log.take([written("A", 0)]))
    verdict = verify("--from", at(100), "--to", at(200))
    assert verdict.code == 0, verdict.text
    assert "nothing of this range" in verdict.text


def test_outputs_without_any_input(log: VerifyLog) -> None:
    records = log.take([written("A", 0), written("A", 5000)])
    outputs, _ = log.outcome(records)
    log.put_out([*outputs, outputs[0]._replace(timestamp_ms=(T0 + 100) * 1000)], [])
    log.commit(2)
    verdict = verify("--from", at(50), "--to", at(200))
    assert verdict.code == 1
    assert "output without input: 1" in verdict.text


def test_a_group_that_did_nothing(log: VerifyLog, settings: Any) -> None:
    log.work_off(log.take([written("A", 0)]))
    settings.SALES_GROUP = f"{log.group}.other"
    verdict = verify("--from", FROM)
    assert verdict.code == 2
    assert "has committed nothing" in verdict.text


def test_a_missing_topic(log: VerifyLog, settings: Any) -> None:
    settings.SALES_OUTPUT_TOPIC = "nowhere"
    verdict = verify("--from", FROM)
    assert (verdict.code, verdict.text) == (2, "The topic nowhere is missing.")


def test_an_engine_that_is_away(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.KAFKA_BOOTSTRAP_SERVERS = ["127.0.0.1:1"]
    monkeypatch.setattr(reader, "REQUEST_TIMEOUT_MS", 1000)
    verdict = verify()
    assert verdict.code == 2
    assert "127.0.0.1:1" in verdict.text


@pytest.mark.parametrize(
    "arguments",
    [
        ["--from=yesterday"],
        ["--from=-15x"],
        ["--from=-999999999d"],
        ["--from=-1m", "--to=-2m"],
        ["--show=-1"],
    ],
)
def test_senseless_arguments(arguments: list[str]) -> None:
    assert verify(*arguments).code == 2


def test_instants() -> None:
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert instants.parse("-90m", now) == datetime(2026, 11, 21, 10, 30, tzinfo=UTC)
    assert instants.parse("-1.5h", now) == datetime(2026, 11, 21, 10, 30, tzinfo=UTC)
    assert instants.parse("2026-11-21", now) == datetime(2026, 11, 21, tzinfo=UTC)
    assert instants.parse("2026-11-21T01:00+01:00", now) == datetime(2026, 11, 21, tzinfo=UTC)
    assert instants.milliseconds(instants.parse("1970-01-01T00:00:00.0019Z", now)) == 1
    assert instants.shown(1_700_000_000_123) == "2023-11-14 22:13:20.123Z"
    assert joined(["x", "--from", "-15m", "--show", "3"]) == ["x", "--from=-15m", "--show", "3"]


# In small batches, so that there is a middle to be killed in.
SLOWLY = """
import sys
from django.core.management import execute_from_command_line
from streaming.sales.verify import batches
batches.RECORDS = 20
execute_from_command_line(["manage.py", "verify_sales", *sys.argv[1:]])
"""


@pytest.mark.django_db(transaction=True)
def test_killed_in_the_middle_it_leaves_nothing(log: VerifyLog, settings: Any) -> None:
    records = log.take(written("A", each / 100) for each in range(20_000))
    log.commit(records[-1].offset + 1)
    environment = {
        **os.environ,
        "DATABASE_URL": _address(),
        "SALES_INPUT_TOPIC": log.data,
        "SALES_OUTPUT_TOPIC": log.agg,
        "SALES_DEAD_LETTER_TOPIC": log.dlq,
        "SALES_GROUP": log.group,
    }
    child = subprocess.Popen(
        [sys.executable, "-c", SLOWLY, "--from", FROM],
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    try:
        until(lambda: _sessions() and _temporary_tables())
        child.send_signal(signal.SIGKILL)
    finally:
        child.kill()
        child.wait()
    until(lambda: not _sessions() and not _temporary_tables())


def _address() -> str:
    """Of the test's database."""
    given = connection.settings_dict
    return (
        f"postgresql://{given['USER']}:{given['PASSWORD']}@{given['HOST']}:{given['PORT']}"
        f"/{given['NAME']}"
    )


def _sessions() -> Sequence[Any]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'verify_sales'")
        return cursor.fetchall()


def _temporary_tables() -> Sequence[Any]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'")
        return cursor.fetchall()
