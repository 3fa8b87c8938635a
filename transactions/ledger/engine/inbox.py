"""One batch of messages becomes rows of historical_transactions, in one transaction.

A message that comes again after a crash is recognized: by its message id, or, where it has none, as
one of the batches whose acknowledgement had not arrived. Which these are, receipts.py tells.
"""

import hashlib
from collections.abc import Sequence
from itertools import takewhile
from typing import Any, NamedTuple

import psycopg2

from . import messages, tables
from .messages import Refusal, Transaction
from .tables import Numbers

RAW_BYTES = 64 * 1024

INSERT = """
INSERT INTO historical_transactions (provider_id, transaction_value)
SELECT * FROM unnest(%s::bigint[], %s::numeric[])
"""
REJECT = """
INSERT INTO stockroom_ledger.rejects (reason, detail, body, body_bytes, message_id)
VALUES (%s, %s, %s, %s, %s)
"""
TAKE_IDS = """
INSERT INTO stockroom_ledger.inbox (message_id) SELECT DISTINCT * FROM unnest(%s::text[])
ON CONFLICT DO NOTHING RETURNING message_id
"""
KEEP_BATCH = """
DELETE FROM stockroom_ledger.batches
WHERE inserted_at < clock_timestamp() - interval '10 seconds' OR receipt = %(receipt)s;
INSERT INTO stockroom_ledger.batches (receipt, digests) VALUES (%(receipt)s, %(digests)s)
"""
BATCHES = "SELECT receipt, digests FROM stockroom_ledger.batches ORDER BY number"
DIGEST_BYTES = 32
BEHIND = (
    "historical_transactions.id: its sequence gives ids that are taken, and this user may not set"
    " it; its owner: SELECT setval(pg_get_serial_sequence('historical_transactions', 'id'),"
    " max(id)) FROM historical_transactions"
)
UNIQUE_VIOLATION = "23505"
# Of SQLSTATE: data, integrity, WITH CHECK OPTION, RAISE.
REFUSED_BY_TABLE = ("22", "23", "44", "P0")


class Message(NamedTuple):
    """A delivery. `id` is None where there is none."""

    body: bytes
    id: str | None
    redelivered: bool

    @property
    def digest(self) -> bytes:
        """What it is known by when it comes again."""
        marked = b"" if self.id is None else self.id.encode("utf-8", "surrogateescape") + b"\0"
        return hashlib.sha256(marked + b"\1" + self.body).digest()


class Inserted(NamedTuple):
    """What a batch has led to; the three are all its messages."""

    rows: int
    repeated: int
    rejected: int


class Kept(NamedTuple):
    """What was inserted last, in order: of each message its digest, and the receipt of its batch.

    `receipts` holds the place of each batch's first message among them.
    """

    digests: list[bytes]
    receipts: dict[str, int]

    def open_since(self, receipt: str) -> int:
        """How many of the last ones the broker has not as acknowledged: it still has `receipt`."""
        first = self.receipts.get(receipt)
        return 0 if first is None else len(self.digests) - first


def again(kept: Kept, wanted: int, delivered: Sequence[Message]) -> int:
    """How many of the first messages delivered are there already.

    They are the last `wanted`, the batches that were not acknowledged; other ones only where the
    broker itself was killed, and has kept less or more of its last moment.
    """
    if not wanted:
        return 0
    marked = [each.digest for each in takewhile(lambda each: each.redelivered, delivered)]
    counts: list[int] = [wanted, *range(min(len(kept.digests), len(marked)), 0, -1)]
    for count in counts:
        if marked[:count] == kept.digests[-count:]:
            return count
    return 0


def kept(cursor: Any) -> Kept:
    """What was inserted in the last seconds of work, at least the last batch."""
    cursor.execute(BATCHES)
    digests: list[bytes] = []
    receipts = {}
    for receipt, found in cursor.fetchall():
        receipts[receipt] = len(digests)
        text = bytes(found)
        digests += [text[at : at + DIGEST_BYTES] for at in range(0, len(text), DIGEST_BYTES)]
    return Kept(digests, receipts)


def insert(cursor: Any, batch: Sequence[Message], numbers: Numbers, receipt: str) -> Inserted:
    """Insert a batch in its order and keep what is refused; the caller commits, then acknowledges.

    Raises psycopg2.Error, and Unready where the table gives no ids.
    """
    fresh = _not_there_yet(cursor, batch)
    read = [(message, _read(message.body, numbers)) for message in fresh]
    wanted = {each.provider for _, each in read if isinstance(each, Transaction)}
    known = _known_providers(cursor, wanted)
    good: list[tuple[Message, Transaction]] = []
    refused: list[tuple[Message, Refusal]] = []
    for message, found in read:
        if isinstance(found, Refusal):
            refused.append((message, found))
        elif found.provider in known:
            good.append((message, found))
        else:
            detail = f"there is no provider {found.provider} in initial_data"
            refused.append((message, Refusal("unknown_provider", detail)))
    refused_by_table = _put(cursor, good)
    refused += refused_by_table
    for message, refusal in refused:
        cursor.execute(REJECT, [*refusal, message.body[:RAW_BYTES], len(message.body), message.id])
    digests = b"".join(message.digest for message in batch)
    cursor.execute(KEEP_BATCH, {"receipt": receipt, "digests": digests})
    return Inserted(len(good) - len(refused_by_table), len(batch) - len(fresh), len(refused))


def _put(cursor: Any, good: Sequence[tuple[Message, Transaction]]) -> list[tuple[Message, Refusal]]:
    """Insert all at once, or else one by one; returns those that the table refuses."""
    if not good or _inserted(cursor, [each for _, each in good]) is None:
        return []
    refused = []
    for message, transaction in good:
        problem = _inserted(cursor, [transaction])
        if problem is not None:
            refused.append((message, Refusal("refused_by_table", problem[:500])))
    return refused


def _inserted(cursor: Any, transactions: Sequence[Transaction]) -> str | None:
    """None, or why the table refuses one of them; then none is there."""
    columns = [[each.provider for each in transactions], [each.value for each in transactions]]
    for _ in range(2):
        cursor.execute("SAVEPOINT put")
        try:
            cursor.execute(INSERT, columns)
        except psycopg2.Error as error:
            if error.pgcode is None or not error.pgcode.startswith(REFUSED_BY_TABLE):
                raise
            cursor.execute("ROLLBACK TO SAVEPOINT put")
            words = str(error.diag.message_primary or error).strip()
            if error.pgcode != UNIQUE_VIOLATION:
                return words
            if not tables.is_of_id(cursor, error.diag.constraint_name):
                return words
            # Somebody has given ids of his own, and the sequence is behind: no message's fault.
            if not tables.move_sequence_on(cursor):
                raise tables.Unready(BEHIND) from None
        else:
            cursor.execute("RELEASE SAVEPOINT put")
            return None
    raise tables.Unready(BEHIND)


def _not_there_yet(cursor: Any, batch: Sequence[Message]) -> list[Message]:
    ids = [message.id for message in batch if message.id is not None]
    if not ids:
        return list(batch)
    cursor.execute(TAKE_IDS, [ids])
    new = {found for (found,) in cursor.fetchall()}
    fresh = []
    for message in batch:
        if message.id is None:
            fresh.append(message)
        elif message.id in new:
            new.remove(message.id)
            fresh.append(message)
    return fresh


def _read(body: bytes, numbers: Numbers) -> Transaction | Refusal:
    found = messages.read(body)
    if isinstance(found, Transaction):
        problem = numbers.problem(found.value)
        if problem:
            return Refusal("bad_value", f"value {str(found.value)[:80]}: {problem}")
    return found


def _known_providers(cursor: Any, wanted: set[int]) -> set[int]:
    cursor.execute("SELECT id FROM initial_data WHERE id = ANY(%s)", [sorted(wanted)])
    return {found for (found,) in cursor.fetchall()}
