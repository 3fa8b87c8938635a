"""What the page Operations costs: a request for it, and what one sample asks of full tables.

`python -m bench.operations [--rows 500000] [--rounds 5]`; starts its own engines. Orders and
deliveries are `rows` each, OPEN of them open. The page is
asked for over one connection, in turns with a bare view of one SELECT on the same kind of server;
the questions to PostgreSQL are timed in turns with a bare SELECT 1.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack

import django
import requests

from bench.report_figure import tell
from bench.web import site
from tests.web.servers import Server

OPEN = 5_000
REQUESTS = 100  # of a round
TURNS = 20  # of the questions, in a round
WEB = ("-k", "config.web_worker.WebWorker")

FILL = """
INSERT INTO webhooks_endpoint (url, event_types, headers, enabled, for_callbacks, disabled_reason,
    description, version)
SELECT 'https://receiver' || n || '.example.com/', '{*}', '{}', true, false, '', '', 1
FROM generate_series(1, 100) n;
INSERT INTO webhooks_event (id, type, data, occurred_at, fanned_out_at, request_id)
SELECT gen_random_uuid(), 'product.updated', '{"product": {"sku": "A"}}', now(), now(), ''
FROM generate_series(1, %(rows)s / 100) n;
INSERT INTO webhooks_delivery (event_id, endpoint_id, event_type, state, next_attempt_at, claim,
    tries, attempts_made, by_hand, test, last_error, finished_at)
SELECT event.id, endpoint.id, 'product.updated',
    CASE WHEN number <= %(open)s THEN 'pending' WHEN number %% 50 = 0 THEN 'failed'
        ELSE 'succeeded' END,
    CASE WHEN number <= %(open)s THEN now() END, 0, 0, 1, false, false, '',
    CASE WHEN number > %(open)s THEN now() END
FROM (
    SELECT event.id AS event, endpoint.id AS endpoint, row_number() OVER () AS number
    FROM webhooks_event event, webhooks_endpoint endpoint
) pairs JOIN webhooks_event event ON event.id = pairs.event
    JOIN webhooks_endpoint endpoint ON endpoint.id = pairs.endpoint;
INSERT INTO transactions_order ("user", stockname, quantity, status, reason, detail, price, amount,
    credit_before, credit_after, order_id, verifications, claim, callback_url, decided_at)
SELECT 'user' || n %% 1000, 'stock1', 3, CASE WHEN n <= %(open)s THEN 'received' ELSE 'Deny' END,
    '', '', NULL, NULL, NULL, NULL, gen_random_uuid(), 1, 1, '',
    CASE WHEN n > %(open)s THEN now() END
FROM generate_series(1, %(rows)s) n;
"""


def fill(rows: int) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(FILL, {"rows": rows, "open": OPEN})
        cursor.execute("VACUUM ANALYZE")


def timed(call: Callable[[], object], times: int) -> float:
    """Median of so many calls, in milliseconds."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def questions(rounds: int) -> None:
    """What PostgreSQL is asked for a sample, section by section."""
    from django.db import connection

    from config.operations.taking import IN_DATABASE, LANES

    def bare() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    bare()
    whole: list[float] = [0.0] * rounds
    plain = [timed(bare, TURNS) for _ in range(rounds)]
    for name, facts in LANES[IN_DATABASE]:
        taken = [timed(lambda facts=facts: facts({}), TURNS) for _ in range(rounds)]
        print(f"  {name:<24}{statistics.median(taken):7.2f} ms", flush=True)
        whole = [before + each for before, each in zip(whole, taken, strict=True)]
    print(f"  all{'':<21}{statistics.median(whole):7.2f} ms", flush=True)
    tell("PostgreSQL's part of a sample", whole, "ms", baseline="SELECT 1", bare=plain)


def take_samples(points: int) -> None:
    """As many as fill the plots, a moment apart."""
    from config.operations import joining, sample
    from config.operations.taking import Taker

    found = Taker().take({})
    for number in range(points):
        sample.keep(found, {**joining.point(found), "at": found["at"] - 10 * (points - number)})


def page(environment: dict[str, str], cookie: str, rounds: int) -> None:
    with ExitStack() as stack:
        ours = stack.enter_context(
            Server("config.asgi:application", environment=environment, arguments=WEB)
        )
        plain = stack.enter_context(
            Server("bench.web_app:asgi", environment=environment, arguments=WEB)
        )
        session = stack.enter_context(requests.Session())
        session.headers.update({"Host": "localhost", "Cookie": cookie})

        def ask(server: Server, path: str) -> None:
            host, port = server.address
            answer = session.get(f"http://{host}:{port}{path}", allow_redirects=False, timeout=60)
            assert answer.status_code == 200, (answer.status_code, path)

        pages = {"the page": {}, "its live part": {"HX-Request": "true"}}
        for name, headers in pages.items():
            session.headers.update(headers)
            for server, path in ((ours, "/operations/"), (plain, "/page")):
                timed(lambda server=server, path=path: ask(server, path), 10)
            bare, taken = [], []
            for _ in range(rounds):
                bare.append(timed(lambda: ask(plain, "/page"), REQUESTS))
                taken.append(timed(lambda: ask(ours, "/operations/"), REQUESTS))
            print(f"  {name:<24}{statistics.median(taken):7.2f} ms, bare view", end=" ")
            print(f"{statistics.median(bare):.2f} ms", flush=True)
            tell(name, taken, "ms", baseline="a bare view", bare=bare)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000, help="orders, and deliveries")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="50,000 rows, 3 rounds")
    options = parser.parse_args()
    rows, rounds = (50_000, 3) if options.quick else (options.rows, options.rounds)
    with site() as (environment, cookie):
        environment = {**environment, "LOG_LEVEL": "WARNING", "WEB_THREADS": "8"}
        os.environ.update(environment)
        django.setup()
        fill(rows)
        print(f"{rows:,} orders, {rows:,} deliveries, {OPEN:,} of each open")
        questions(rounds)
        take_samples(360)
        page(environment, cookie, rounds)


if __name__ == "__main__":
    main()
