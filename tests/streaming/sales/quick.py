"""Sales that notices added partitions within a second, hosted by the tests' instances."""

from streaming.kafka_log import membership
from streaming.sales.consumer import SalesConsumer

membership.METADATA_AGE_MS = 1000


class QuickSales(SalesConsumer):
    """As the original in all else."""
