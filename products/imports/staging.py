"""Staging: a part of the file → rows in this import's own unlogged table, by COPY.

A part is read in one transaction that writes its rows, its rejects, its record
with the parser's state (ImportPart) and, into an unlogged table, its marker. A
killed worker leaves none of these or all. A database crash empties the unlogged
tables only: parts whose marker is gone are read again from their recorded start.
"""

import io
import logging
from collections.abc import Iterable

from django.conf import settings
from django.db import connection
from django.db.models import F

from products import lock_waits
from products.models import Import, ImportPart, ImportReject

from . import blocks
from .csv_rows import Carry, FileError, PartReader, Row, RowError

logger = logging.getLogger(__name__)

FLAGS = {None: "\\N", True: "t", False: "f"}
ERRORS_AT_ONCE = 10_000
DROP_LOCK_MS = 200  # an ending import keeps its row locked for as long
LOSERS_FOUND = -1  # marker of "the losing lines of duplicates are in their table"


def table(job_id: int) -> str:
    """Name of the staging table of an import."""
    return f"products_staging_{int(job_id)}"


def losers_table(job_id: int) -> str:
    """Name of the table of lines that a later line with the same SKU overrides."""
    return f"products_staging_{int(job_id)}_losers"


def next_part(job: Import) -> ImportPart | None:
    """The part that can be read now (unsaved), or None when more bytes must come first.

    A part has at most IMPORT_PART_BYTES; while the upload runs, at least one block.
    """
    previous = job.parts.order_by("number").last()
    number, start = (previous.number + 1, previous.end_byte) if previous else (0, 0)
    upload = job.upload
    end = min(start + settings.IMPORT_PART_BYTES, upload.offset)
    if upload.completed_at is None and end - start < settings.UPLOAD_BLOCK_BYTES:
        return None
    if end == start and not (number == 0 and upload.size_bytes == 0):
        return None
    return ImportPart(job=job, number=number, start_byte=start, end_byte=end)


def stage(job: Import, part: ImportPart) -> None:
    """Read `part` into the staging table and save it. Called inside the step's transaction.

    Raises csv_rows.FileError when the whole file can't be imported, and
    blocks.BlocksGone when its bytes were deleted.
    """
    reader = PartReader(
        blocks.read(job.upload_id, part.start_byte, part.end_byte),
        _carry_before(job, part.number),
        encoding=job.encoding,
        final=part.end_byte == job.upload.size_bytes,
    )
    rejected_before = job.rejected - (part.rejected or 0)  # a part read again is counted in it
    part.rows = part.rejected = part.undecodable = 0
    job.rejects.filter(part=part.number).delete()
    with connection.cursor() as cursor:
        _create_tables(cursor, job.pk)
        source = _CopySource(reader, part)
        while not source.ended:
            cursor.copy_expert(
                f"COPY {table(job.pk)} (line, sku, name, description, active) FROM STDIN", source
            )
            _copy_rejects(cursor, job.pk, part.number, source.take_errors())
            if rejected_before + part.rejected > settings.IMPORT_MAX_REJECTS:
                raise FileError(
                    f"More than {settings.IMPORT_MAX_REJECTS:,} rows can't go in, so the import"
                    " was stopped. Is this the right file?"
                )
        cursor.execute("INSERT INTO products_stagedpart VALUES (%s, %s)", [job.pk, part.number])
    part.carry, part.carry_tail = reader.carry.to_dict(), reader.carry.tail
    part.last_line = reader.carry.line
    part.save()
    if job.read_bytes < part.end_byte:  # the first time, not again after a crash
        header = reader.carry.header
        Import.objects.filter(pk=job.pk).update(
            columns=header.to_dict() if header else {},
            read_bytes=part.end_byte,
            rows=F("rows") + part.rows,
            rejected=F("rejected") + part.rejected,
            undecodable=F("undecodable") + part.undecodable,
            last_line=part.last_line,
        )


def _carry_before(job: Import, number: int) -> Carry:
    if number == 0:
        return Carry()
    previous = job.parts.get(number=number - 1)
    return Carry.from_dict(previous.carry, bytes(previous.carry_tail))


def analyze_rejects() -> None:
    """Refresh the planner's statistics of rejects: without, a page of them sorts all."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE products_importreject")


def lost_part(job: Import) -> ImportPart | None:
    """The first part that was read but whose rows a database crash has taken, or None."""
    with connection.cursor() as cursor:
        # Asked before each batch, so without the ORM's milliseconds.
        cursor.execute(
            "SELECT min(number) FROM products_importpart p"
            " WHERE job_id = %s AND NOT EXISTS (SELECT FROM products_stagedpart s"
            "  WHERE s.job_id = p.job_id AND s.part = p.number)",
            [job.pk],
        )
        number = cursor.fetchone()[0]
    return None if number is None else job.parts.get(number=number)


def losers_found(job_id: int) -> bool:
    """Whether `find_losers` was done for the rows that are staged now."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM products_stagedpart WHERE job_id = %s AND part = %s",
            [job_id, LOSERS_FOUND],
        )
        return cursor.fetchone() is not None


def find_losers(job_id: int) -> int:
    """Find the lines that a later line of the same SKU overrides; returns how many.

    Found once for the whole file, so that every count is exact although the merge
    goes in batches: the last occurrence of a SKU wins.
    """
    rows, losers = table(job_id), losers_table(job_id)
    with connection.cursor() as cursor:
        _create_tables(cursor, job_id)
        cursor.execute(f"CREATE INDEX IF NOT EXISTS {rows}_line ON {rows} (line)")
        cursor.execute("SET LOCAL work_mem = '128MB'")
        cursor.execute(
            f"INSERT INTO {losers} SELECT line FROM"
            " (SELECT line, lead(line) OVER (PARTITION BY lower(sku) ORDER BY line) AS later"
            f"  FROM {rows}) s WHERE later IS NOT NULL"
        )
        count = cursor.rowcount
        cursor.execute(f"ANALYZE {rows} (line)")
        cursor.execute(f"ANALYZE {losers}")
        cursor.execute("INSERT INTO products_stagedpart VALUES (%s, %s)", [job_id, LOSERS_FOUND])
    return count


def batch_end(job_id: int, after_line: int) -> int | None:
    """The last line of the batch that follows `after_line`; None when no row follows."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT max(line) FROM (SELECT line FROM {table(job_id)} WHERE line > %s"
            " ORDER BY line LIMIT %s) batch",
            [after_line, settings.IMPORT_BATCH_LINES],
        )
        return cursor.fetchone()[0]


def drop(job_id: int) -> None:
    """Remove an ended import's staged rows; harmless when there are none.

    A dump of the database may keep the tables for longer: `drop_leftovers` goes on.
    """
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM products_stagedpart WHERE job_id = %s", [job_id])
    tables = f"{table(job_id)}, {losers_table(job_id)}"
    if not lock_waits.run_within(DROP_LOCK_MS, f"DROP TABLE IF EXISTS {tables}"):
        logger.info("import %s: somebody reads its staging tables, left to the sweep", job_id)


def drop_leftovers() -> None:
    """Remove staging tables of imports that have ended; called by the sweep."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relname ~ '^products_staging_[0-9]+$'")
        ids = [int(name.rpartition("_")[2]) for (name,) in cursor.fetchall()]
    ended = Import.objects.filter(pk__in=ids, state__in=Import.ENDED)
    for job_id in ended.values_list("pk", flat=True):
        drop(job_id)


def _create_tables(cursor: object, job_id: int) -> None:
    # Short-lived and analyzed when full: autovacuum would only read them beside the merge.
    cursor.execute(
        f"CREATE UNLOGGED TABLE IF NOT EXISTS {table(job_id)} ("
        " line bigint NOT NULL, sku text NOT NULL, name text NOT NULL,"
        " description text, active boolean) WITH (autovacuum_enabled = off)"
    )
    cursor.execute(
        f"CREATE UNLOGGED TABLE IF NOT EXISTS {losers_table(job_id)} (line bigint PRIMARY KEY)"
    )


class _CopySource:
    """A file that COPY reads: one COPY a part, so that the server stores while we parse.

    Ends early where many errors wait to be written. An exception in `read` would reach the
    server as a mere text, so it is kept and raised by `take_errors`.
    """

    def __init__(self, reader: PartReader, part: ImportPart) -> None:
        self.ended = False
        self._batches = iter(reader)
        self._part = part
        self._errors: list[RowError] = []
        self._failure: Exception | None = None

    def read(self, size: int) -> str:
        """The rows of the next batch that has any; their text is as long as it is."""
        while len(self._errors) < ERRORS_AT_ONCE:
            try:
                batch = next(self._batches, None)
            except Exception as error:
                self._failure, batch = error, None
            if batch is None:
                self.ended = True
                break
            self._errors += batch.errors
            self._part.rows += len(batch.rows)
            self._part.rejected += len(batch.errors)
            self._part.undecodable += batch.undecodable
            if batch.rows:
                return copy_text(batch.rows)
        return ""

    def take_errors(self) -> list[RowError]:
        """The errors that came with the rows read since the last call."""
        if self._failure is not None:
            raise self._failure
        errors, self._errors = self._errors, []
        return errors


def copy_text(rows: Iterable[Row]) -> str:
    """`rows` in COPY's text format: tab between fields, \\N for None.

    The fields are escaped together, joined by NUL, which no field holds: looking for
    each character once a row is what makes this fast.
    """
    lines = []
    for line, sku, name, description, active in rows:
        fields = f"{sku}\0{name}" if description is None else f"{sku}\0{name}\0{description}"
        fields = _escape(fields).replace("\0", "\t")
        if description is None:
            fields += "\t\\N"
        lines.append(f"{line}\t{fields}\t{FLAGS[active]}\n")
    return "".join(lines)


def _escape(text: str) -> str:
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if "\n" in text:
        text = text.replace("\n", "\\n")
    if "\r" in text:
        text = text.replace("\r", "\\r")
    if "\t" in text:
        text = text.replace("\t", "\\t")
    return text


def _copy_rejects(cursor: object, job_id: int, part: int, errors: Iterable[RowError]) -> None:
    text = "".join(
        f"{job_id}\t{part}\t{error.line}\t{_escape(error.column)}\t{_escape(error.message)}\t"
        f"{_escape(error.raw)}\n"
        for error in errors
    )
    if text:
        cursor.copy_expert(
            f'COPY {ImportReject._meta.db_table} (job_id, part, line, "column", reason, raw)'
            " FROM STDIN",
            io.StringIO(text),
        )
