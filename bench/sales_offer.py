"""Sends sales at a given pace: each when its time has come, however late the one before was.

`python -m bench.sales_offer SERVERS TOPIC RATE SECONDS`, for bench.sales. Prints how late it was.
"""

import sys
import time

from kafka import KafkaProducer

from bench.sample_sales import Sold, even

CODES = 3_000
LEAD_SECONDS = 1.0
PAUSE_SECONDS = 0.001


def main() -> None:
    servers, topic, rate, seconds = sys.argv[1:]
    producer = KafkaProducer(bootstrap_servers=servers, metrics_enabled=False)
    producer.partitions_for(topic)
    count = round(float(rate) * float(seconds))
    # Made before: at the sending there is no time to.
    made = list(even(CODES, count, time.time() + LEAD_SECONDS + count * 20e-6, rate=float(rate)))
    latest = pace(producer, topic, made, float(rate))
    producer.close()
    print(f"at most {1000 * latest:.0f} ms late")


def pace(producer: KafkaProducer, topic: str, made: list[Sold], rate: float) -> float:
    """Returns how late the latest was, in seconds."""
    began = time.monotonic()
    latest = 0.0
    for place, sold in enumerate(made):
        due = began + place / rate
        while (left := due - time.monotonic()) > 0:
            time.sleep(min(left, PAUSE_SECONDS))
        latest = max(latest, -left)
        producer.send(topic, sold.value, sold.key)
    return latest


if __name__ == "__main__":
    main()
