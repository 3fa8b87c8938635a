"""Pages of a job stay quick beside many others: none reads the rows of other jobs."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from stocksync.jobs import files, service
from stocksync.models import SyncJob, Verdict
from stocksync.results import commands, comparison, ignored, tree_events, trees

pytestmark = pytest.mark.django_db

JOBS = 10
EVENTS = 13_400  # of each job: 134,000 in all, as of a file of 10 MB

# Trees of 9 products. Every tenth event is not applied, every fiftieth is of nobody.
DECISIONS = """
INSERT INTO stocksync_syncdecision (job_id, seq, line, at_line, kind, product_id, root_id,
    timestamp, stock, verdict, code, reason, raw, commands, output_offset)
SELECT %(job)s, n, n, n, 'ProductUpdated', n %% 900,
    CASE WHEN n %% 50 = 0 THEN NULL ELSE n %% 900 / 9 * 9 END, n, 5,
    CASE WHEN n %% 50 = 0 THEN 'never_created' WHEN n %% 25 = 0 THEN 'refused'
         WHEN n %% 10 = 0 THEN 'stale' ELSE 'applied' END,
    CASE WHEN n %% 25 = 0 THEN 'negative' ELSE '' END, '', '',
    CASE WHEN n %% 10 > 0 AND n %% 25 > 0 THEN 1 ELSE 0 END, 44 * (n - 1)
FROM generate_series(1, %(events)s) n
"""
TREES = """
INSERT INTO stocksync_synctree (job_id, place, root_id, products, active, stock)
SELECT %(job)s, n, 9 * (n - 1), 9, 9, n %% 3 FROM generate_series(1, 1000) n
"""
PRODUCTS = """
INSERT INTO stocksync_syncproduct (job_id, product_id, root_id, place, stock, active)
SELECT %(job)s, n, n / 9 * 9, n + 1, %(job)s %% 2, true FROM generate_series(0, 8999) n
"""


@pytest.fixture
def jobs(user) -> list[SyncJob]:
    events = files.create("events.jsonl")
    found = [service.begin(user, events) for _ in range(JOBS)]
    with connection.cursor() as cursor:
        for job in found:
            for statement in (DECISIONS, TREES, PRODUCTS):
                cursor.execute(statement, {"job": job.pk, "events": EVENTS})
        cursor.execute("ANALYZE stocksync_syncdecision, stocksync_synctree, stocksync_syncproduct")
    for job in found:
        job.decisions = EVENTS
        line = b'{"type": "UpdateProduct", "id": 1, "stock": 5}\n'
        files.append(job.output_id, line * 300)
    return found


def plans(question) -> str:
    """How PostgreSQL runs the statements of a page."""
    with CaptureQueriesContext(connection) as captured:
        question()
    with connection.cursor() as cursor:
        found = []
        for query in captured:
            statement = query["sql"]  # bytes: blocks of a file, by COPY
            if isinstance(statement, str) and "SELECT" in statement[:10]:
                cursor.execute(f"EXPLAIN {statement}")
                found += [line for (line,) in cursor.fetchall()]
    return "\n".join(found)


def reads_others(plan: str) -> list[str]:
    return re.findall(r"Seq Scan on stocksync_sync(?:decision|tree|product).*", plan)


def test_no_page_of_a_job_reads_those_of_others(jobs):
    job, other = jobs[4], jobs[7]
    tree = trees.find(job).rows[0].tree
    product = trees.product(job, 4500)
    for question in (
        lambda: trees.find(job),
        lambda: trees.find(job, "sold-out", after=400),
        lambda: trees.find(job, "ended"),
        lambda: trees.products(tree, after=3),
        lambda: trees.products(tree, before=8),
        lambda: trees.place_for(product),
        lambda: trees.state_of(tree),
        lambda: tree_events.find(job, 450),
        lambda: tree_events.find(job, 450, 453, after=9000),
        lambda: commands.page(job, 4400),
        lambda: ignored.orphans(job, 450),
        lambda: ignored.find(job, Verdict.REFUSED, "negative", before=12_000),
        lambda: ignored.find(job, Verdict.STALE),
        lambda: ignored.find(job, Verdict.NEVER_CREATED, after=12_000),
        lambda: comparison.products(job, other),
        lambda: comparison.judged(job, other, True),
    ):
        plan = plans(question)
        assert "Scan" in plan
        assert reads_others(plan) == [], plan


@pytest.mark.parametrize(
    ("question", "index"),
    [
        (lambda job: tree_events.find(job, 450), "stocksync_decision_tree"),
        (lambda job: ignored.orphans(job, 450), "stocksync_decision_orphan"),
        (lambda job: ignored.find(job, Verdict.STALE), "stocksync_decision_not"),
        (lambda job: trees.find(job, after=400), "stocksync_synctree_key"),
    ],
)
def test_what_is_asked_for_is_found_by_its_own_index(jobs, question, index):
    assert index in plans(lambda: question(jobs[4]))
