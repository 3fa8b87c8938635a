"""transactions.ledger.engine.inbox: a batch of messages becomes rows and rejects."""

import random
import uuid
from decimal import Decimal
from typing import Any

import pytest

from tests.transactions.ledger.stage import body, make_tables
from transactions.ledger.engine import inbox, tables
from transactions.ledger.engine.inbox import Inserted, Kept, Message
from transactions.ledger.engine.intake import readable_id
from transactions.ledger.engine.tables import Numbers

ANY = Numbers()
SEED = 20261122


@pytest.fixture
def database(connection: Any) -> Any:
    """With the providers of the specification, and no transactions."""
    make_tables(connection)
    clear(connection)
    return connection


def clear(connection: Any) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE historical_transactions, stockroom_ledger.batches, stockroom_ledger.inbox,"
            " stockroom_ledger.rejects RESTART IDENTITY"
        )


def insert(connection: Any, *messages: Message, numbers: Numbers = ANY) -> Inserted:
    with connection, connection.cursor() as cursor:
        return inbox.insert(cursor, messages, numbers, uuid.uuid4().hex)


def message(body_: bytes, id_: str | None = None) -> Message:
    return Message(body_, id_, False)


def rows(connection: Any) -> list[tuple[int, Decimal]]:
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT provider_id, transaction_value FROM historical_transactions ORDER BY id"
        )
        return list(cursor.fetchall())


def rejects(connection: Any) -> list[tuple[Any, ...]]:
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT reason, body, body_bytes, message_id FROM stockroom_ledger.rejects ORDER BY id"
        )
        return [(reason, bytes(raw), *more) for reason, raw, *more in cursor.fetchall()]


def test_a_batch_becomes_rows_in_its_order(database: Any) -> None:
    sent = [(1 + n % 2, n) for n in range(500)]
    assert insert(database, *(message(body(*each)) for each in sent)) == (500, 0, 0)
    assert rows(database) == sent
    with database.cursor() as cursor:
        cursor.execute("SELECT min(id), max(id) FROM historical_transactions")
        assert cursor.fetchone() == (1, 500)


def test_a_message_id_counts_once(database: Any) -> None:
    first = [message(body(1, 1), "a"), message(body(1, 2), "b"), message(body(1, 3), "a")]
    assert insert(database, *first) == (2, 1, 0)
    assert insert(database, message(body(1, 4), "b"), message(body(1, 5), "c")) == (1, 1, 0)
    assert rows(database) == [(1, 1), (1, 2), (1, 5)]


def test_messages_without_an_id_are_all_different(database: Any) -> None:
    assert insert(database, *3 * [message(body())]) == (3, 0, 0)


def test_what_is_refused_is_kept_as_it_came_and_others_go_on(database: Any) -> None:
    large = body(note="x" * 70_000)
    bad = [
        b"\xff\x00",
        b"",
        b"{}",
        body(9),
        body(1, "NaN"),
        large,
        b'{"id": 1, "value": "\\u0000"}',
    ]
    sent = [message(each, f"id{number}") for number, each in enumerate(bad)]
    assert insert(database, message(body()), *sent, message(body(2, -1))) == (2, 0, len(bad))
    assert rows(database) == [(1, 600), (2, -1)]
    assert [each[0] for each in rejects(database)] == [
        *("not_utf8", "not_json", "missing_field", "unknown_provider", "bad_value", "too_large"),
        "bad_value",
    ]
    assert [each[1] for each in rejects(database)] == [each[: 64 * 1024] for each in bad]
    assert [each[2:] for each in rejects(database)] == [
        (len(each), f"id{number}") for number, each in enumerate(bad)
    ]


def test_what_was_refused_and_has_an_id_is_kept_once(database: Any) -> None:
    assert insert(database, message(body(9), "x")) == (0, 0, 1)
    assert insert(database, message(body(9), "x")) == (0, 1, 0)
    assert len(rejects(database)) == 1


def test_what_was_refused_becomes_a_row_when_it_comes_again_and_can(database: Any) -> None:
    sent = message(body(3, 5), "x")
    assert insert(database, sent) == (0, 0, 1)
    with database, database.cursor() as cursor:
        cursor.execute("INSERT INTO initial_data VALUES (3, 'Amex', 0)")
    assert insert(database, sent) == (1, 0, 0)
    assert insert(database, sent) == (0, 1, 0)
    assert rows(database) == [(3, 5)]
    assert [each[0] for each in rejects(database)] == ["unknown_provider"]


def test_after_an_hour_it_is_refused_anew(database: Any) -> None:
    sent = message(body(9), "x")
    assert insert(database, sent) == (0, 0, 1)
    with database, database.cursor() as cursor:
        cursor.execute(
            "UPDATE stockroom_ledger.rejects SET rejected_at = rejected_at - interval '1 hour'"
        )
    assert insert(database, sent) == (0, 0, 1)


REFUSED_BY_TABLE = body(1, 13)


@pytest.fixture
def strict(database: Any) -> Any:
    """With a rule that others gave the table."""
    with database, database.cursor() as cursor:
        cursor.execute("ALTER TABLE historical_transactions ADD CHECK (transaction_value <> 13)")
    return database


@pytest.mark.parametrize("bad", [b"no json", body(9), REFUSED_BY_TABLE])
def test_a_message_is_put_right_within_one_batch(strict: Any, bad: bytes) -> None:
    sent = [message(bad, "x"), message(body(1, 5), "x"), message(bad, "x"), message(body(), "y")]
    assert insert(strict, *sent) == (2, 1, 1)
    assert sorted(rows(strict)) == [(1, 5), (1, 600)]
    assert [each[1] for each in rejects(strict)] == [bad]


def test_a_batch_leads_to_what_its_messages_would_one_by_one(strict: Any) -> None:
    rng = random.Random(SEED)
    bodies = [body(1, 5), body(1, 6), body(9), b"no json", REFUSED_BY_TABLE]
    for _ in range(50):
        sent = [message(rng.choice(bodies), rng.choice(["a", "b", None])) for _ in range(6)]
        clear(strict)
        together = tuple(insert(strict, *sent)), sorted(rows(strict)), sorted_rejects(strict)
        clear(strict)
        counts = [insert(strict, each) for each in sent]
        alone = tuple(map(sum, zip(*counts, strict=True))), sorted(rows(strict))
        assert together == (*alone, sorted_rejects(strict)), sent


def sorted_rejects(connection: Any) -> list[tuple[Any, ...]]:
    return sorted(rejects(connection), key=repr)


def test_of_a_body_that_is_too_large_only_what_its_reject_keeps_is_held(database: Any) -> None:
    large = 5 * 1024 * 1024
    whole = message(large * b"x", "x")
    held = whole.cut()
    assert len(held.body) == 64 * 1024
    assert held.digest == whole.digest
    assert insert(database, held) == (0, 0, 1)
    assert rejects(database) == [("too_large", 64 * 1024 * b"x", large, "x")]
    with database, database.cursor() as cursor:
        assert inbox.kept(cursor).digests == [whole.digest]


def test_a_body_of_the_largest_size_is_all_held() -> None:
    largest = message(64 * 1024 * b"x")
    assert largest.cut() == largest
    assert len(largest.cut().body) == 64 * 1024


@pytest.mark.parametrize("provider", [0, -1, 3, 2**31, 2**60 // 10, -(2**31) - 1, 10**17])
def test_a_provider_that_is_not_there(database: Any, provider: int) -> None:
    assert insert(database, message(body(provider)), message(body(2))) == (1, 0, 1)
    assert rejects(database)[0][0] == "unknown_provider"


def test_a_provider_that_is_new_is_known_at_once(database: Any) -> None:
    insert(database, message(body(3, 1)))
    with database, database.cursor() as cursor:
        cursor.execute("INSERT INTO initial_data VALUES (3, 'Amex', 0)")
    assert insert(database, message(body(3, 2))) == (1, 0, 0)
    assert rows(database) == [(3, 2)]


def test_a_value_that_the_column_would_round_is_refused(database: Any) -> None:
    with database, database.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE historical_transactions ALTER transaction_value TYPE numeric(12,2)"
        )
        numbers = tables.adopt(cursor)
    values = ["0.10", "0.001", "1e9", "1e99", "9999999999.99", "1e3", "100.000"]
    found = insert(database, *(message(body(1, each)) for each in values), numbers=numbers)
    assert found == (5, 0, 2)
    assert [value for _, value in rows(database)] == [
        Decimal(each) for each in values if each not in ("0.001", "1e99")
    ]


def test_numbers_stay_exact(database: Any) -> None:
    values = ["0.1", "1e3", "-0", "9" * 100 + "." + "1" * 100, "1e-99", "0.30"]
    raw = [b'{"id": 1, "value": %s}' % each.encode() for each in values]
    insert(database, *map(message, raw))
    assert [value for _, value in rows(database)] == [Decimal(each) for each in values]


@pytest.mark.parametrize("id_", ["\x00", "a\x00b", "'; --", "\N{SNOWMAN}", " ", "%s", "x" * 300])
def test_any_message_id(database: Any, id_: str) -> None:
    found = readable_id(id_)
    insert(database, message(body(1, 7), found), message(body(1, 8), found))
    insert(database, message(b"no json", found), message(body(1, 9), readable_id(id_[:254] + "2")))
    assert [int(value) for _, value in rows(database)] == [7, 9]


def test_an_empty_message_id_is_none(database: Any) -> None:
    assert readable_id("") is None
    assert readable_id(None) is None


# What comes again


def delivered(*bodies: bytes, redelivered: bool = True) -> list[Message]:
    return [Message(each, None, redelivered) for each in bodies]


def kept(database: Any, *batches: list[Message]) -> Kept:
    with database, database.cursor() as cursor:
        for number, batch in enumerate(batches):
            inbox.insert(cursor, batch, ANY, f"receipt{number}")
    with database, database.cursor() as cursor:
        return inbox.kept(cursor)


def test_the_last_batch_is_known_when_it_comes_again(database: Any) -> None:
    found = kept(database, delivered(b"1", b"2"), delivered(b"3", b"4"))
    assert found.open_since("receipt1") == 2
    assert inbox.again(found, 2, delivered(b"3", b"4", b"3", b"4")) == 2


def test_nothing_comes_again_where_its_receipt_is_gone(database: Any) -> None:
    """What looks the same and is marked was delivered before, and not inserted."""
    found = kept(database, delivered(b"3", b"4"))
    assert found.open_since("of later") == 0
    assert inbox.again(found, 0, delivered(b"3", b"4")) == 0


def test_what_is_not_marked_is_new(database: Any) -> None:
    """The queue was emptied by others meanwhile."""
    found = kept(database, delivered(b"3", b"4"))
    assert inbox.again(found, 2, delivered(b"3", b"4", redelivered=False)) == 0


@pytest.mark.parametrize(
    ("came", "again"),
    [
        ([b"1", b"2", b"3", b"4", b"5"], 4),  # its batches since receipt0 were two
        ([b"2", b"3", b"4", b"5"], 3),
        ([b"4", b"5"], 1),
        ([b"5"], 0),
        ([b"1", b"2"], 0),
    ],
)
def test_a_killed_broker_may_bring_back_more_or_less(
    database: Any, came: list[bytes], again: int
) -> None:
    found = kept(database, delivered(b"1", b"2"), delivered(b"3", b"4"))
    assert inbox.again(found, found.open_since("receipt1"), delivered(*came)) == again


def test_a_receipt_that_came_back_is_used_again(database: Any) -> None:
    """Nothing of its batch came: the queue was made anew."""
    kept(database, delivered(b"1"))
    found = kept(database, delivered(b"2"))
    assert found.receipts == {"receipt0": 0}
    assert found.digests == [each.digest for each in delivered(b"2")]


def test_what_the_table_refuses_is_kept_and_others_go_on(strict: Any) -> None:
    inserted = insert(strict, *(message(body(1, value)) for value in (12, 13, 14)))
    assert inserted == Inserted(2, 0, 1)
    assert [int(value) for _, value in rows(strict)] == [12, 14]
    assert [each[:2] for each in rejects(strict)] == [("refused_by_table", REFUSED_BY_TABLE)]


def test_a_sequence_behind_the_ids_of_others_is_moved_on(database: Any) -> None:
    """The specification's rows have explicit ids: 1, 1, 100."""
    with database, database.cursor() as cursor:
        cursor.execute(
            "INSERT INTO historical_transactions SELECT n, 1, n FROM generate_series(1, 500) n"
        )
    assert insert(database, message(body(1, 600)), message(body(1, 601))) == Inserted(2, 0, 0)
    assert [int(value) for _, value in rows(database)][-2:] == [600, 601]


def test_ids_that_can_not_be_moved_on_are_told_and_cost_no_message(database: Any) -> None:
    """Where the default is of no sequence, or of one that this user may not set."""
    with database, database.cursor() as cursor:
        cursor.execute("INSERT INTO historical_transactions VALUES (1, 1, 100)")
        cursor.execute("ALTER TABLE historical_transactions ALTER id SET DEFAULT 1")
        cursor.execute("DROP SEQUENCE historical_transactions_id_seq")
    with pytest.raises(tables.Unready, match="its owner: SELECT setval"):
        insert(database, message(body(1, 600)))
    assert rejects(database) == []
    with database, database.cursor() as cursor:
        cursor.execute("ALTER TABLE historical_transactions ALTER id SET DEFAULT 2")
    assert insert(database, message(body(1, 600))) == Inserted(1, 0, 0)


def test_another_unique_rule_of_the_table_refuses_the_message(database: Any) -> None:
    with database, database.cursor() as cursor:
        cursor.execute("ALTER TABLE historical_transactions ADD UNIQUE (transaction_value)")
    assert insert(database, message(body(1, 7)), message(body(1, 7))) == Inserted(1, 0, 1)
    assert [each[0] for each in rejects(database)] == ["refused_by_table"]
