"""The catalogues that searches are measured on: words planted in a sample, and ten times as many.

Used by products_search.py. A planted word stands at the end of a description.
"""

import csv
import time
from collections.abc import Iterator
from pathlib import Path

from bench.import_stack import Bench
from bench.sample_csv import write_sample

COPIES = 10  # of each product in the large catalogue, with other SKUs and names
MARK = " # "  # before planted words; only the first copy keeps them

BUILD_SECONDS = 900
INACTIVE_FEW = 10


def planted(number: int, sku: str, name: str, rows: int) -> Iterator[str]:
    """Words for the `number`-th of `rows` records, with lower numbers for older products."""
    if number % (rows // 6) == 5:
        yield "xylophone"  # 6 products
    if number % 250 == 3:
        yield "flamingo"  # 0.4 %
    if number < rows // 5:
        yield "zanzibar"  # the oldest 20 %
        if number % 5 == 0:
            yield "quixote"  # 4 %, among the oldest 20 %
    if sku >= "who":
        yield "kumquat"  # the last 4 % or so by SKU
    if name >= "Thomas":
        yield "papaya"  # the last 6 % by name


def write_catalogue(path: Path, rows: int) -> None:
    """The sample with planted words and a column `active`: all but INACTIVE_FEW are."""
    sample = path.with_name("sample.csv")
    write_sample(sample, rows)
    with (
        sample.open(newline="", encoding="utf-8") as source,
        path.open("w", newline="", encoding="utf-8") as target,
    ):
        lines = csv.reader(source)
        next(lines)
        out = csv.writer(target)
        out.writerow(("sku", "name", "description", "active"))
        for number, (name, sku, description) in enumerate(lines):
            words = " ".join(planted(number, sku.lower(), name, rows))
            active = number % (rows // INACTIVE_FEW) != 7
            out.writerow((sku, name, f"{description}{MARK}{words}", str(active).lower()))
    sample.unlink()


def multiply(bench: Bench) -> None:
    """Make ten products of each; the newer nine have no planted words."""
    from products.catalogue import search_index

    with search_index.only_builder():  # or a worker builds it while products come
        _multiply(bench)


def _multiply(bench: Bench) -> None:
    indexes = bench.sql(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
        " WHERE indrelid = 'products_product'::regclass AND NOT indisprimary"
    )
    for name, _ in indexes:
        bench.sql(f"DROP INDEX {name}")
    for number in range(1, COPIES):
        bench.sql(
            "INSERT INTO products_product (sku, name, description, active, last_import_id)"
            f" SELECT sku || '-{number}', name || ' {number}',"
            f" split_part(description, '{MARK}', 1), true, last_import_id FROM products_product"
            f" WHERE description LIKE '%{MARK}%'"
        )
    bench.sql("SET maintenance_work_mem = '512MB'")
    for _, definition in indexes:
        bench.sql(definition)
    bench.sql("RESET maintenance_work_mem")
    bench.sql("VACUUM ANALYZE products_product")


def deactivate_older_half(bench: Bench) -> None:
    """Make the state of products cluster by age; the search index is built anew."""
    from products.catalogue import search_index

    middle = bench.sql("SELECT max(id) / 2 FROM products_product")[0][0]
    with search_index.only_builder():
        search_index.drop()
        bench.sql(f"UPDATE products_product SET active = id > {middle} WHERE id <= {middle}")
        bench.sql("VACUUM products_product")
        search_index.build()


def wait_for_index() -> None:
    """Until a worker has built what the import dropped."""
    from products.catalogue import search_index

    deadline = time.monotonic() + BUILD_SECONDS
    while search_index.state() != "ready":
        if time.monotonic() > deadline:
            raise SystemExit("the search index was not built")
        time.sleep(0.5)
