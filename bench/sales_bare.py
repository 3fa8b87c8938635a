"""The least a copy from topic to topic takes with kafka-python: no sums, no transactions.

`python -m bench.sales_bare SERVERS INPUT OUTPUT GROUP BATCH`, for bench.sales. Each poll's records
are sent as they are, then its offsets are committed, as a loop does that may double but not lose.
"""

import sys

from kafka import KafkaConsumer, KafkaProducer

from bench.sales_stage import PRODUCER


def main() -> None:
    servers, source, output, group, batch = sys.argv[1:]
    producer = KafkaProducer(bootstrap_servers=servers, **PRODUCER)
    consumer = KafkaConsumer(
        source,
        bootstrap_servers=servers,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_poll_records=int(batch),
        metrics_enabled=False,
    )
    while True:
        polled = consumer.poll(timeout_ms=500)
        for partition, records in polled.items():
            for record in records:
                producer.send(
                    output,
                    record.value,
                    record.key,
                    partition=partition.partition,
                    timestamp_ms=record.timestamp,
                )
        if polled:
            producer.flush()
            consumer.commit()


if __name__ == "__main__":
    main()
