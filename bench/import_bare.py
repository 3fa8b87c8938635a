"""The least that a database must do for an import: COPY and one INSERT … ON CONFLICT, by psql."""

import time
from dataclasses import dataclass
from pathlib import Path

from bench.import_stack import Bench

INSERT = """
INSERT INTO bare_product AS p (sku, name, description, last_import_id)
SELECT DISTINCT ON (lower(sku)) sku, name, description, 1
FROM bare_rows ORDER BY lower(sku), line DESC
ON CONFLICT (lower(sku)) DO UPDATE SET
    sku = excluded.sku, name = excluded.name, description = excluded.description,
    updated_at = now(), last_import_id = excluded.last_import_id
"""
SKIPPING = """
WHERE (p.sku, p.name, p.description)
    IS DISTINCT FROM (excluded.sku, excluded.name, excluded.description)
"""


@dataclass(frozen=True)
class BareRun:
    """Seconds of wall clock and of the stack's CPU, and what went to the write-ahead log."""

    done: float
    cpu: float
    wal_bytes: int


def clear(bench: Bench) -> None:
    """An empty table with the columns, btree indexes and storage of the catalogue's."""
    bench.sql("DROP TABLE IF EXISTS bare_product")
    bench.sql("CREATE TABLE bare_product (LIKE products_product INCLUDING ALL)")
    # Imports of this size go on without the search index, and it is no part of what they take.
    for (index,) in bench.sql(
        "SELECT indexrelid::regclass FROM pg_index JOIN pg_class i ON i.oid = indexrelid"
        " JOIN pg_am m ON m.oid = i.relam"
        " WHERE indrelid = 'bare_product'::regclass AND amname = 'gin'"
    ):
        bench.sql(f"DROP INDEX {index}")
    bench.sql("ALTER TABLE bare_product SET (fillfactor = 70)")  # LIKE leaves this out
    bench.sql("VACUUM ANALYZE bare_product")


def run(bench: Bench, path: Path, *, skip_unchanged: bool = False) -> BareRun:
    """COPY a file and insert it; with `skip_unchanged` equal rows are not rewritten."""
    bench.sql("DROP TABLE IF EXISTS bare_rows")
    wal, cpu, began = bench.wal(), bench.cpu(), time.monotonic()
    bench.psql(
        "CREATE UNLOGGED TABLE bare_rows"
        " (line bigint GENERATED ALWAYS AS IDENTITY, name text, sku text, description text)",
        f"\\copy bare_rows (name, sku, description) FROM '{path}' (FORMAT csv, HEADER)",
        INSERT + (SKIPPING if skip_unchanged else ""),
    )
    done = time.monotonic() - began
    result = BareRun(done, bench.cpu() - cpu, bench.wal() - wal)
    bench.sql("VACUUM ANALYZE bare_product")
    return result
