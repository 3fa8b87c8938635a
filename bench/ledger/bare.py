"""The least that a queue's way into the table takes with pika: no checks, nothing kept beside.

`python -m bench.ledger.bare BATCH`, for bench.ledger, with AMQP_URL, LEDGER_QUEUE and
LEDGER_DATABASE_URL. Only full batches are inserted. A crash may double messages, and one that is no
JSON ends it.
"""

import json
import os
import sys
from typing import Any

import pika
import psycopg2

INSERT = """
INSERT INTO historical_transactions (provider_id, transaction_value)
SELECT * FROM unnest(%s::bigint[], %s::numeric[])
"""


def main() -> None:
    batch = int(sys.argv[1])
    database = psycopg2.connect(os.environ["LEDGER_DATABASE_URL"])
    connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
    channel = connection.channel()
    providers: list[Any] = []
    values: list[Any] = []

    def on_message(channel: Any, method: Any, _properties: Any, body: bytes) -> None:
        found = json.loads(body)
        providers.append(found["id"])
        values.append(found["value"])
        if len(providers) == batch:
            with database, database.cursor() as cursor:
                cursor.execute(INSERT, [providers, values])
            channel.basic_ack(method.delivery_tag, multiple=True)
            providers.clear()
            values.clear()

    # One batch is on its way while another is inserted.
    channel.basic_qos(prefetch_count=2 * batch)
    channel.basic_consume(os.environ["LEDGER_QUEUE"], on_message)
    channel.start_consuming()


if __name__ == "__main__":
    main()
