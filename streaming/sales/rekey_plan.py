"""What a copy by StockCode is to do, and whether it may. Used by rekey and its command."""

from dataclasses import dataclass

from streaming.kafka_log import topics
from streaming.kafka_log.reader import Reader
from streaming.kafka_log.transactions import Transactions

from .preparation import CARRIED

INSTANCE = "rekey"  # one at a time: a second one takes over from the first


class Refused(Exception):
    """The copy would not be right. The text says why, and what to do."""


@dataclass(frozen=True)
class Plan:
    """What is copied where; names as Kafka has them."""

    source: str
    target: str
    group: str
    follow: bool = False  # go on with what comes, until the end that is asked for
    append: bool = False  # behind records that are not of this group

    @property
    def instance(self) -> str:
        """Name of the clients, and the transactional id."""
        return f"{self.group}.{INSTANCE}"

    @property
    def mark(self) -> str:
        """Text beside the committed offsets: what they mean."""
        return f"rekey1 {self.target}"


def prepare(plan: Plan, partitions: int) -> None:
    """See that both topics are there; the target is made where it is missing.

    Raises Refused, KafkaError, Unusable.
    """
    if plan.source == plan.target:
        raise Refused(f"{plan.source} can't be copied into itself: name another topic with --to.")
    with topics.admin() as client:
        source = topics.facts(client, plan.source)
        if source is None:
            raise Refused(f"There is no topic {plan.source} to copy from.")
        if topics.partition_counts(client, [plan.target]).get(plan.target) is None:
            settings = dict(CARRIED)
            if source.retention_ms is not None:
                settings["retention.ms"] = str(source.retention_ms)
            topics.create(client, plan.target, partitions, settings)


def check_target(plan: Plan) -> None:
    """Raise Refused where records are there that this group didn't write."""
    # A killed run's transaction is ended by this: what it wrote, and its offsets, are final then.
    transactions = Transactions(plan.instance, [plan.target])
    transactions.open()
    transactions.close()
    with Reader() as reader:
        if plan.append or reader.committed(plan.group, plan.source):
            return
        begin, end = reader.begin(plan.target), reader.end(plan.target)
        # Offsets alone don't tell: those of aborted transactions are used up too.
        for number in end:
            if any(True for _ in reader.read(plan.target, number, begin[number], end[number])):
                raise Refused(
                    f"Topic {plan.target} has records already, and group {plan.group} didn't write"
                    " them. Name an empty topic or a new one with --to; --append writes behind"
                    " what is there."
                )
