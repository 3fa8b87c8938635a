"""Lost answers, killed servers, restored backups, several writers: each row once all the same."""

import json
from itertools import count
from typing import Any

import pytest
import redis

from config.services.engine import Engine
from streaming.prices import rows, store
from tests.streaming.prices import oracle
from tests.streaming.prices.judge import (
    SAMPLE,
    USER,
    A,
    B,
    Between,
    Fault,
    Judge,
    address,
    at_once,
    empty_redis,
    faulty,
    some,
    value_of,
)


@pytest.mark.parametrize("versions", [1, 2, 3])
def test_a_redis_that_went_back_gets_its_rows_again(valkey: redis.Redis, versions: int) -> None:
    """Disaster recovery: a backup is restored under a consumer that has been running on."""
    judge = Judge(valkey)
    running = judge.store
    given = some(*(f"stock1 09000{at} {at}" for at in range(9)), source=A)
    judge.apply("csv", given[:2])
    backup = {key: valkey.dump(key) for key in valkey.keys("*")}
    for number in range(versions):
        batch = judge.batch("csv", given[2 + 2 * number : 4 + 2 * number])
        running.apply(batch._replace(expected=str(2 + 2 * number), next=str(4 + 2 * number)))
    valkey.flushdb()
    for key, dumped in backup.items():
        assert dumped is not None
        valkey.restore(key, 0, dumped)
    with pytest.raises(store.Moved) as moved:
        running.apply(judge.batch("csv", given[8:])._replace(expected=str(2 + 2 * versions)))
    assert moved.value.found == "2"
    judge.apply("csv", given[2:], by=running)
    judge.assert_right()


@pytest.mark.parametrize("how", ["flushdb", "clear"])
@pytest.mark.parametrize("batches", [1, 2])
def test_a_redis_that_was_emptied_gets_its_rows_again(
    valkey: redis.Redis, how: str, batches: int
) -> None:
    judge = Judge(valkey)
    running = judge.store
    given = some(*(f"stock1 09000{at} {at}" for at in range(4)), source=A)
    for at in range(batches):
        judge.apply("csv", given[2 * at : 2 * at + 2])
    if how == "clear":
        assert judge.new_store().clear("csv") == 1
        assert running.position("csv") is None
    else:
        valkey.flushdb()
    with pytest.raises(store.Moved) as moved:
        running.apply(judge.batch("csv", given))
    assert moved.value.found is None
    again = Judge.__new__(Judge)
    again.__dict__ |= judge.__dict__ | {"oracle": oracle.Stocks(), "positions": {}}
    again.apply("csv", given, by=running)
    again.assert_right()


@pytest.mark.parametrize("batches", [1, 2])
def test_an_emptied_redis_of_whose_place_nobody_has_been_told(
    valkey: redis.Redis, batches: int
) -> None:
    """Another place comes next, so its position is as expected, though the stocks are gone."""
    judge = Judge(valkey)
    given = some(*(f"stock1 09000{at} {at}" for at in range(4)), source=A)
    for at in range(batches):
        judge.apply("csv", given[2 * at : 2 * at + 2])
    valkey.flushdb()
    judge.oracle, judge.positions = oracle.Stocks(), {}
    judge.apply("kafka:t:0", given)
    judge.assert_right()


# Faults


def _after_faults(valkey: redis.Redis, engine: Engine, foreign: dict[str, str]) -> None:
    batches = [
        some("stock1 090000 1", "stock2 090000 2", "gold 090001 3", source=A),
        some("stock1 090002", "gold 090003 4", "user.x 090004 5", source=A, first=4),
    ]
    for at in count(1):
        valkey.flushdb()
        judge = Judge(valkey, foreign=foreign, not_stocks=USER)
        fault = Fault(at)
        cut = judge.new_store(faulty(address(engine), fault))
        for given_rows in batches:
            batch = judge.batch("csv", given_rows, [(at, "bad_line")])
            for by in (cut, cut if at % 3 else judge.new_store()):
                try:
                    by.apply(batch)
                    break
                except store.Moved as moved:  # it was applied, and the answer lost
                    assert moved.found == batch.next
                    break
                except redis.RedisError:
                    assert fault.happened
            judge.expect(batch)
            judge.assert_right()
        if not fault.happened:
            assert at > 5
            return


def test_a_connection_cut_anywhere(valkey: redis.Redis, valkey_engine: Engine) -> None:
    _after_faults(valkey, valkey_engine, {})


def test_a_connection_cut_anywhere_in_an_adoption(
    valkey: redis.Redis, valkey_engine: Engine
) -> None:
    _after_faults(valkey, valkey_engine, SAMPLE)


@pytest.mark.parametrize(
    "key",
    ["prices:dead_letters", "prices:dead_letters:count", "prices:stocks", "prices:positions",
     "prices:stock:stock2", "prices:stock:gold"],
)  # fmt: skip
@pytest.mark.parametrize("how", ["list", "text"])
def test_a_key_of_ours_of_a_wrong_type_leaves_all_as_it_was(
    valkey: redis.Redis, key: str, how: str
) -> None:
    """Redis does not undo what a script has done before its error."""
    judge = Judge(valkey)
    judge.apply("csv", some("stock1 090000 1", "stock2 090000 1"))
    valkey.delete(key)
    if how == "list":
        valkey.rpush(key, "x")
    else:
        valkey.set(key, "x")

    def state() -> dict[bytes, Any]:
        return {name: valkey.dump(name) for name in valkey.keys("*")}

    before = state()
    given_rows = some("stock1 090001 2", "stock2 090002 2", "gold 090003 4")
    for by in (judge.store, judge.new_store()):
        try:
            by.apply(judge.batch("csv", given_rows, [(9, "bad_line")]))
        except redis.RedisError:
            assert state() == before
        else:  # it was put right: then all of it has happened
            assert by.position("csv") == "6"
            assert b'"price":[1,2]' in (valkey.get("stock1") or b"")
            return


def test_a_full_memory_refuses_the_whole_batch(valkey: redis.Redis) -> None:
    judge = Judge(valkey)
    judge.apply("csv", some("stock1 090000 1"))
    valkey.config_set("maxmemory", "1")
    try:
        with pytest.raises(redis.RedisError):
            judge.store.apply(judge.batch("csv", some("stock1 090001 2", "gold 090001 3")))
    finally:
        valkey.config_set("maxmemory", "0")
    judge.assert_right()
    judge.apply("csv", some("stock1 090001 2", "gold 090001 3"))
    judge.assert_right()


def test_scripts_that_the_server_forgot(valkey: redis.Redis) -> None:
    judge = Judge(valkey)
    judge.apply("csv", some("stock1 090000 1"))
    valkey.script_flush()
    judge.apply("csv", some("stock1 090001 2"))
    judge.assert_right()


def test_a_killed_server_has_all_that_it_confirmed(own_valkey: Any) -> None:
    engine = own_valkey()
    with empty_redis(engine) as valkey:
        judge = Judge(valkey)
        for number in range(30):
            given_rows = some(f"stock1 0900{number:02} {number}", "gold 090000 1")
            batch = judge.batch("csv", given_rows)
            judge.store.apply(batch)
            judge.expect(batch)
            if number % 10 == 9:
                engine.kill()
                with pytest.raises(redis.RedisError):
                    judge.store.apply(judge.batch("csv", given_rows))
                engine.start()
                judge.assert_right()


# Several at once


def test_two_writers_at_one_place(valkey: redis.Redis) -> None:
    """Each takes the next batch from where the place is; none is done twice."""
    judge = Judge(valkey)
    batches = []
    for number in range(120):
        names = ("stock1", f"s{number % 7}", f"new{number}")
        given_rows = some(*(f"{name} 09{number // 60:02}{number % 60:02} 5" for name in names))
        batches.append(judge.batch("csv", given_rows, [(number, "bad_line")]))
        judge.expect(batches[-1])
    by_position = {batch.expected: batch for batch in batches}

    def write(_: int) -> None:
        writer = judge.new_store()
        while (batch := by_position.get(writer.position("csv"))) is not None:
            try:
                writer.apply(batch)
            except store.Moved:
                continue

    at_once(3, write)
    judge.assert_right()


@pytest.mark.parametrize("other", ["writer", "writer of others", "foreign script"])
@pytest.mark.parametrize("begun", ["new", "ours", "rewritten", "sample"])
def test_another_writer_between_any_two_commands(
    valkey: redis.Redis, valkey_engine: Engine, begun: str, other: str
) -> None:
    """The same rows of one file by both ways at once, and values that are rewritten meanwhile."""
    same = some("stock1 090001 2", "gold 090002 3", "stock1 090003", source=A)
    more = some("stock1 090004 2", "gold 090005 3", "stock2 090006", source=B)

    def rewrite() -> None:
        """As a script of others does it."""
        for name in ("stock1", "gold"):
            if valkey.exists(name):
                valkey.set(name, json.dumps(value_of(valkey, name), indent=1))

    for at in count(1):
        valkey.flushdb()
        judge = Judge(valkey, foreign={"stock1": SAMPLE["stock1"]} if begun == "sample" else {})
        if begun in ("ours", "rewritten"):
            judge.apply("first", some("stock1 090000 1", "gold 090000 1"))
        if begun == "rewritten":
            rewrite()
        by_kafka = judge.batch("kafka:t:0", same if other == "writer" else more)
        writer = judge.new_store()
        works = {"foreign script": rewrite}
        between = Between(at, works.get(other, lambda w=writer, b=by_kafka: w.apply(b)))
        own = judge.new_store(faulty(address(valkey_engine), between))
        batch = judge.batch("csv", same)
        own.apply(batch)
        if not between.happened:
            assert at > 3
            return
        if other != "foreign script":
            judge.expect(by_kafka)
        judge.expect(batch)
        if other == "writer":
            judge.assert_right()
            continue
        for name, value in judge.oracle.values.items():
            found = value_of(valkey, name)
            rows_found = sorted(zip(found["time"], map(str, found["price"]), strict=True))
            assert rows_found == sorted(zip(value["time"], map(str, value["price"]), strict=True))
        # And each row once from then on too.
        again = judge.new_store().apply(judge.batch("csv", same))
        assert (again.added, again.repeated) == (0, 3)


def test_stocks_that_are_new_to_two_partitions_at_once(valkey: redis.Redis) -> None:
    """One stock has one value and one id, whoever comes first, and all rows of both."""
    judge = Judge(valkey, foreign=SAMPLE)
    judge.new_store().apply(judge.batch("csv", some(*(f"{name} 230000" for name in SAMPLE))))
    names = [*SAMPLE, *(f"n{number}" for number in range(40))]

    def write(number: int) -> None:
        writer = judge.new_store()
        for at, name in enumerate(names if number % 2 else names[::-1]):
            place = f"kafka:t:{number}"
            row = rows.Row(name, f"{number:02}0000", str(at))
            before = None if at == 0 else str(at)
            writer.apply(store.Batch(place, before, str(at + 1), [(at, row, b"")]))

    at_once(4, write)
    ids = set()
    for name in names:
        value = value_of(valkey, name)
        own = value["time"][3:] if name in SAMPLE else value["time"]
        assert sorted(own) == ["000000", "010000", "020000", "030000"]
        assert len(value["price"]) == len(value["time"])
        ids.add(value["id"])
    assert len(ids) == len(names)
    assert [each.id for each in judge.store.stocks()] == sorted(ids)


def test_performance_set_between_batches_stays(valkey: redis.Redis) -> None:
    judge = Judge(valkey)
    other = judge.new_store()
    for number, token in enumerate(("5", "-12.25", "0", '"good"', '{"a":[1,2]}')):
        judge.apply("csv", some(f"stock1 09000{number} {number}"))
        (asked,) = other.ask(number + 1)
        assert other.begin(asked)
        judge.apply("csv", some(f"stock1 09001{number} {number + 100}"))
        assert other.finish(asked, token, 3.0)
        judge.oracle.values["stock1"]["performance"] = oracle.loads(token)
        judge.assert_right()
    judge.apply("csv", some("stock1 090100 3"))
    judge.assert_right()


def test_performance_and_rows_at_once(valkey: redis.Redis) -> None:
    """Neither writer undoes what the other has done."""
    judge = Judge(valkey)
    batches = []
    for number in range(300):
        batches.append(judge.batch("csv", some(f"stock1 090000 {number}", f"x{number % 9} 090000")))
        judge.expect(batches[-1])

    def write(number: int) -> None:
        own = judge.new_store()
        if number:
            for minute in range(1, 200):
                for asked in own.ask(minute):
                    own.begin(asked)
                    own.finish(asked, str(minute) * (minute % 5 + 1), 0.0)
        else:
            for batch in batches:
                own.apply(batch)

    at_once(2, write)
    value = value_of(valkey, "stock1")
    judge.oracle.values["stock1"]["performance"] = value["performance"]
    judge.assert_right()
