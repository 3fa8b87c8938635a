"""The catalogue at full size: found, edited, changed in bulk, exported, deleted and restored.

A job under way is killed again and again; in the end every count has to be exact.
"""

import io
import json
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from bench.sample_csv import write_sample
from products.catalogue.search_terms import is_indexed, plain
from tests.products.imports.stack import RunningStockroom, running_stockroom
from tests.services.waiting import until

from .killing import kills

pytestmark = pytest.mark.soak

ROWS = 500_000
SECONDS = 1200.0
SEED = 20261121
PRODUCTS = "SELECT * FROM products_product ORDER BY id"
DIGEST = f"SELECT count(*), md5(string_agg(p::text, '' ORDER BY id)) FROM ({PRODUCTS}) p"


@pytest.fixture(scope="module")
def stockroom() -> Iterator[RunningStockroom]:
    """With 500,000 lines imported and the search index built again."""
    variables = {"IMPORT_STALE_SECONDS": "3", "IMPORT_SWEEP_SECONDS": "1"}
    with running_stockroom(**variables, API_REQUESTS_PER_MINUTE="1000000") as stockroom:
        file = io.BytesIO()
        write_sample(file, ROWS, seed=1)
        job = stockroom.end(stockroom.upload(file.getvalue()), SECONDS)
        assert job["state"] == "done"
        until(lambda: get(stockroom, "/api/products/?search=song")["search_complete"], SECONDS)
        yield stockroom


def get(stockroom: RunningStockroom, path: str) -> dict[str, Any]:
    return stockroom.request("GET", path).json()


def post(stockroom: RunningStockroom, path: str, body: dict[str, Any] | None = None) -> Any:
    """The answer, asked for again while a part of the server is away."""

    def attempt() -> requests.Response | None:
        try:
            return stockroom.request("POST", path, json=body or {})
        except requests.HTTPError as error:
            if error.response.status_code != 503:
                raise AssertionError(error.response.text) from error
        except requests.ConnectionError:
            pass
        return None

    return until(attempt, SECONDS).json()


def ended(stockroom: RunningStockroom, change: dict[str, Any]) -> dict[str, Any]:
    """The bulk change once it has ended, read beside the server."""

    def look() -> dict[str, Any] | None:
        ((row,),) = stockroom.query(
            "SELECT to_jsonb(b) FROM products_bulkchange b WHERE id = %s", change["id"]
        )
        return row if row["state"] in ("done", "failed", "cancelled") else None

    row = until(look, SECONDS)
    assert (row["state"], row["error"]) == ("done", ""), f"{row}\n{stockroom.log}"
    return row


def words(stockroom: RunningStockroom) -> list[str]:
    """Searches made of words that are in the catalogue, common and rare."""
    chance = random.Random(SEED)
    rows = stockroom.query(
        "SELECT name, description, sku FROM products_product WHERE id %% 4999 = 0 LIMIT 60"
    )
    found = []
    for name, description, sku in rows:
        some = f"{name} {description}".replace("\n", " ").split()
        found += [chance.choice(some), " ".join(chance.sample(some, 2)), sku[:9], sku[2:7]]
    return found


def test_searches_find_what_a_slow_statement_finds(stockroom):
    anywhere = "sku || E'\\n' || name || E'\\n' || description ILIKE %s"
    for text in words(stockroom):
        parts = text.split()
        if not all(is_indexed(part) for part in parts):
            continue
        where = " AND ".join([anywhere] * len(parts))
        patterns = [f"%{plain(part)}%" for part in parts]
        expected = stockroom.query(
            f"SELECT id FROM products_product WHERE {where} ORDER BY id DESC LIMIT 100", *patterns
        )
        answer = get(stockroom, f"/api/products/?page_size=100&search={requests.utils.quote(text)}")
        assert [row["id"] for row in answer["results"]] == [pk for (pk,) in expected], text
        assert answer["count"] >= len(expected)


@pytest.mark.parametrize("search", ["song", "e"])
def test_bulk_changes_under_kills_end_exactly(stockroom, search, capsys):
    before = stockroom.query(DIGEST)
    body = {"filter": {"search": search}}
    for action, seed in (("deactivate", SEED), ("delete", SEED + 1)):
        began = time.monotonic()
        with kills(stockroom, seed) as killed:
            change = post(stockroom, "/api/products/bulk/", {"action": action, **body})
            row = ended(stockroom, change)
        with capsys.disabled():
            took = time.monotonic() - began
            print(f"\n{action} “{search}”: {row['changed']:,} in {took:.0f} s, {dict(killed)}")
        history = "SELECT count(*), count(DISTINCT product_id) FROM products_productchange"
        counted = stockroom.query(f"{history} WHERE bulk_id = %s", row["id"])
        assert counted == [(row["changed"], row["changed"])]
        assert row["changed"] == row["matched"] > 10_000
        told = "SELECT data->>'count' FROM webhooks_event WHERE data->>'bulk_change' = %s"
        assert stockroom.query(told, str(row["id"])) == [(str(row["changed"]),)]
    with kills(stockroom, SEED + 2):
        restored = post(stockroom, f"/api/deletions/{row['deletion_id']}/undo/")
        assert ended(stockroom, restored)["changed"] == row["changed"]
    activated = post(stockroom, "/api/products/bulk/", {"action": "activate", **body})
    ended(stockroom, activated)
    after = stockroom.query(DIGEST.replace("p::text", "p.id || sku || name || p.active"))
    assert after[0][0] == before[0][0]
    assert get(stockroom, "/api/products/?active=false")["count"] == 0


def test_delete_all_and_its_undo_are_exact(stockroom):
    before = stockroom.query(DIGEST)
    deletion = post(stockroom, "/api/products/delete-all/", {"confirm": "DELETE ALL"})
    assert deletion["count"] == before[0][0]
    assert get(stockroom, "/api/products/")["count"] == 0
    stockroom.request("POST", f"/api/deletions/{deletion['id']}/undo/", json={})
    assert stockroom.query(DIGEST) == before


def test_an_export_imports_again_unchanged(stockroom):
    data = stockroom.request("GET", "/api/products/export.csv").content
    job = stockroom.end(stockroom.upload(data), SECONDS)
    ((products, _),) = stockroom.query(DIGEST)
    assert (job["state"], job["unchanged"]) == ("done", products), json.dumps(job, default=str)
    assert (job["created"], job["updated"], job["rejected"]) == (0, 0, 0)


def test_edits_beside_a_merge_are_neither_lost_nor_slowed_to_a_stop(stockroom):
    file = io.BytesIO()
    write_sample(file, ROWS, seed=1, changed_fraction=0.05)
    created = []
    job_id = stockroom.upload(file.getvalue())
    while stockroom.job(job_id)["state"] not in ("done", "failed", "cancelled"):
        number = len(created)
        answer = post(stockroom, "/api/products/", {"sku": f"by-hand-{number}", "name": "By hand"})
        stockroom.request("PATCH", answer["url"], json={"description": f"edit {number}"})
        created.append(answer["id"])
    assert stockroom.job(job_id)["state"] == "done"
    assert created
    kept = "SELECT count(*) FROM products_product WHERE id = ANY (%s) AND description LIKE 'edit%%'"
    assert stockroom.query(kept, created) == [(len(created),)]
    told = "SELECT type, count(*) FROM webhooks_event WHERE data->'product'->>'name' = 'By hand'"
    assert dict(stockroom.query(f"{told} GROUP BY type")) == {
        "product.created": len(created),
        "product.updated": len(created),
    }
