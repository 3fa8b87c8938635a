"""One batch of messages becomes rows of historical_transactions, in one transaction.

A message that comes again after a crash is recognized: by its message id, or, where it has none, as
one of the batches whose acknowledgement had not arrived. Which these are, receipts.py tells. Only
ids of rows are kept: what was refused may be sent again with its id, as it was or put right.
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
# Once in an hour, where it has an id: a copy would look the same.
REJECT = """
INSERT INTO stockroom_ledger.rejects (reason, detail, body, body_bytes, message_id)
SELECT * FROM (VALUES (%s, %s, %s, %s, %s)) new (reason, detail, body, body_bytes, message_id)
WHERE NOT EXISTS (
    SELECT FROM stockroom_ledger.rejects old
    WHERE old.message_id = new.message_id
    AND (old.reason, old.detail, old.body_bytes, old.body)
      = (new.reason, new.detail, new.body_bytes, new.body)
    AND old.rejected_at > now() - interval '1 hour'
)
"""
TAKE_IDS = """
INSERT INTO stockroom_ledger.inbox (message_id) SELECT * FROM unnest(%s::text[])
ON CONFLICT DO NOTHING RETURNING message_id
"""
GIVE_IDS_BACK = "DELETE FROM stockroom_ledger.inbox WHERE message_id = ANY(%s)"
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


class Whole(NamedTuple):
    """What is known of a body whose end was cut off."""

    body_bytes: int
    digest: bytes


class Message(NamedTuple):
    """A delivery. `id` is None where there is none, `whole` is None where `body` is all of it."""

    body: bytes
    id: str | None
    redelivered: bool
    whole: Whole | None = None

    def cut(self) -> "Message":
        """It, without what nobody keeps of a body that is too large."""
        if len(self.body) <= messages.MAX_BYTES:
            return self
        whole = Whole(len(self.body), self.digest)
        return self._replace(body=self.body[:RAW_BYTES], whole=whole)

    @property
    def body_bytes(self) -> int:
        """Of the whole body."""
        return len(self.body) if self.whole is None else self.whole.body_bytes

    @property
    def digest(self) -> bytes:
        """What it is known by when it comes again."""
        if self.whole is not None:
            return self.whole.digest
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
    rows = rejected = 0
    left = batch
    while left:
        fresh = _not_there_yet(cursor, left)
        good, refused, copies = _judged(cursor, fresh, numbers)
        refused_by_table = _put(cursor, good)
        rows += len(good) - len(refused_by_table)
        rejected += sum(_keep(cursor, *each) for each in refused + refused_by_table)
        gone = {message.id for message, _ in refused_by_table}
        ids = {message.id for message, _ in refused} - {message.id for message, _ in good} | gone
        ids.discard(None)
        if ids:
            cursor.execute(GIVE_IDS_BACK, [list(ids)])
        # They may be right where the table has refused the one before them.
        left = [message for message in copies if message.id in gone]
    digests = b"".join(message.digest for message in batch)
    cursor.execute(KEEP_BATCH, {"receipt": receipt, "digests": digests})
    return Inserted(rows, len(batch) - rows - rejected, rejected)


def _judged(
    cursor: Any, fresh: Sequence[Message], numbers: Numbers
) -> tuple[list[tuple[Message, Transaction]], list[tuple[Message, Refusal]], list[Message]]:
    """What can become a row, what can't, and what comes after one of its id that can."""
    read = [(message, _read(message, numbers)) for message in fresh]
    wanted = {each.provider for _, each in read if isinstance(each, Transaction)}
    known = _known_providers(cursor, wanted)
    good: list[tuple[Message, Transaction]] = []
    refused: list[tuple[Message, Refusal]] = []
    copies: list[Message] = []
    taken: set[str] = set()
    for message, found in read:
        if message.id in taken:
            copies.append(message)
        elif isinstance(found, Refusal):
            refused.append((message, found))
        elif found.provider not in known:
            detail = f"there is no provider {found.provider} in initial_data"
            refused.append((message, Refusal("unknown_provider", detail)))
        else:
            good.append((message, found))
            if message.id is not None:
                taken.add(message.id)
    return good, refused, copies


def _keep(cursor: Any, message: Message, refusal: Refusal) -> bool:
    """False where the same was kept within the hour."""
    kept = message.body[:RAW_BYTES], message.body_bytes, message.id
    cursor.execute(REJECT, [*refusal, *kept])
    return bool(cursor.rowcount)


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


def _not_there_yet(cursor: Any, batch: Sequence[Message]) -> Sequence[Message]:
    """Those without an id, and all of the ids that are taken with this."""
    ids = {message.id for message in batch if message.id is not None}
    if not ids:
        return batch
    cursor.execute(TAKE_IDS, [list(ids)])
    new = {found for (found,) in cursor.fetchall()}
    return [message for message in batch if message.id is None or message.id in new]


def _read(message: Message, numbers: Numbers) -> Transaction | Refusal:
    if message.whole is not None:
        return messages.too_large(message.whole.body_bytes)
    found = messages.read(message.body)
    if isinstance(found, Transaction):
        problem = numbers.problem(found.value)
        if problem:
            return Refusal("bad_value", f"value {str(found.value)[:80]}: {problem}")
    return found


def _known_providers(cursor: Any, wanted: set[int]) -> set[int]:
    cursor.execute("SELECT id FROM initial_data WHERE id = ANY(%s)", [sorted(wanted)])
    return {found for (found,) in cursor.fetchall()}
