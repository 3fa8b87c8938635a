"""The least that decisions take one by one: no checks, nothing kept beside, no batches.

`python -m bench.orders.bare SECONDS`, for bench.orders, with DATABASE_URL and PRICES_REDIS_URL: for
each order a transaction of Redis that lowers the user's credit, and an UPDATE. Ends after so many
seconds at the latest; prints orders, seconds and CPU seconds.
"""

import json
import os
import sys
import time
from typing import Any

import psycopg2
import redis

ORDERS = """
SELECT id, "user", quantity FROM transactions_order WHERE status = 'received' ORDER BY id
"""
UPDATE = """
UPDATE transactions_order SET status = 'Accept', price = %s, amount = %s, credit_before = %s,
    credit_after = %s, decided_at = now() WHERE id = %s
"""
PRICE = 100


def main() -> None:
    seconds = float(sys.argv[1])
    client = redis.Redis.from_url(os.environ["PRICES_REDIS_URL"])
    database = psycopg2.connect(os.environ["DATABASE_URL"])
    database.autocommit = True
    with database.cursor() as cursor:
        cursor.execute(ORDERS)
        orders = cursor.fetchall()
        began, cpu = time.monotonic(), time.process_time()
        done = 0
        for pk, user, quantity in orders:
            if time.monotonic() > began + seconds:
                break
            amount = PRICE * quantity
            with client.pipeline() as made:
                pipe: Any = made
                pipe.watch(user)
                found = json.loads(pipe.get(user))
                before = found["credit"]
                found["credit"] = before - amount
                pipe.multi()
                pipe.set(user, json.dumps(found))
                pipe.execute()
            cursor.execute(UPDATE, [PRICE, amount, before, found["credit"], pk])
            done += 1
    print(done, time.monotonic() - began, time.process_time() - cpu)


if __name__ == "__main__":
    main()
