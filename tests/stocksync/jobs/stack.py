"""Jobs through a running Stockroom, driven over HTTP and compared with the engine.

The database is read beside it, to see how far a job is and to hold it there.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import psycopg2

from tests.products.imports.stack import ENDED, SECONDS, Gate, RunningStockroom
from tests.services.waiting import until

from .expected import DECISION_COLUMNS, Expected

JOBS = "/api/stocksync/jobs/"


def upload(stockroom: RunningStockroom, data: bytes, clock: str = "tree") -> int:
    """The id of a new job whose file is sent as a whole."""
    answer = stockroom.request(
        "POST", JOBS, files={"file": ("events.txt", data)}, data={"clock": clock}
    )
    return int(answer.json()["id"])


def job(stockroom: RunningStockroom, job_id: int) -> dict[str, Any]:
    """The job's row."""
    ((row,),) = stockroom.query("SELECT to_jsonb(j) FROM stocksync_syncjob j WHERE id = %s", job_id)
    return row


def end(stockroom: RunningStockroom, job_id: int, seconds: float = SECONDS) -> dict[str, Any]:
    """The job's row once it has ended."""

    def look() -> dict[str, Any] | None:
        row = job(stockroom, job_id)
        return row if row["state"] in ENDED else None

    try:
        return until(look, seconds)
    except AssertionError:
        raise AssertionError(f"{job(stockroom, job_id)}\n{stockroom.log}") from None


def check(stockroom: RunningStockroom, job_id: int, expected: Expected) -> None:
    """The job ends well, with exactly these files, counts and rows."""
    row = end(stockroom, job_id)
    assert (row["state"], row["error"]) == ("done", ""), f"{row}\n{stockroom.log}"
    assert row["counts"] == expected.counts
    stockroom.stack.wait_ready()
    assert download(stockroom, job_id, "output") == expected.output
    assert download(stockroom, job_id, "rejects") == expected.rejects
    assert rows(stockroom, "syncdecision", f"seq, {DECISION_COLUMNS}", job_id, "seq") == [
        (seq, *decision) for seq, decision in enumerate(expected.decisions, 1)
    ]
    trees = rows(stockroom, "synctree", "place, root_id, products, active, stock", job_id, "place")
    assert trees == expected.trees
    products = rows(
        stockroom, "syncproduct", "place, product_id, root_id, stock, active", job_id, "place"
    )
    assert products == expected.products


def download(stockroom: RunningStockroom, job_id: int, name: str) -> bytes:
    return stockroom.request("GET", f"{JOBS}{job_id}/{name}").content


def rows(
    stockroom: RunningStockroom, table: str, columns: str, job_id: int, order: str
) -> list[tuple]:
    return stockroom.query(
        f"SELECT {columns} FROM stocksync_{table} WHERE job_id = %s ORDER BY {order}", job_id
    )


@contextmanager
def gate_at(stockroom: RunningStockroom, seq: int) -> Iterator[Gate]:
    """Until the end of the block the next new job has to wait at its decision `seq`."""
    sequence = "pg_get_serial_sequence('stocksync_syncjob', 'id')"
    ((job_id,),) = stockroom.query(f"SELECT nextval({sequence})")
    stockroom.query(f"SELECT setval({sequence}, %s, false)", job_id)
    with closing(stockroom.connect()) as connection:
        with connection.cursor() as cursor:
            # The job need not be there yet: that is looked at at the end of a transaction.
            cursor.execute(
                "INSERT INTO stocksync_syncdecision (job_id, seq, line, at_line, kind, verdict,"
                " code, reason, raw, commands, output_offset)"
                " VALUES (%s, %s, 0, 0, '', 'applied', '', '', '', 0, 0)",
                (job_id, seq),
            )
        yield Gate(stockroom, connection)
        with suppress(psycopg2.Error):  # where the test has killed the server
            connection.rollback()
