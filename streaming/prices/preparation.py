"""Sees to it that the topic is there before anything is read."""

from streaming.kafka_log import KafkaError, topics
from streaming.kafka_log.connection import in_words

from .options import Options


class Unprepared(Exception):
    """The topic can't be used yet. The text says what an operator should do."""


def prepare(options: Options, *, read_before: bool) -> None:
    """Make the topic where it is missing and that is allowed.

    One of which rows were `read_before` is not made again: whoever deleted it may be about to, and
    decides what is in it. Raises Unprepared, and KafkaError where the broker is away.
    """
    name, partitions = options.topic, options.partitions
    with topics.admin() as client:
        if topics.topic_id(client, name) is not None:
            return
        if read_before:
            raise Unprepared(
                f"topic {name} is missing, though rows of it were read before. Make it again, and "
                "then decide with `manage.py seek_prices` where to begin"
            )
        try:
            topics.create(client, name, partitions)
        except KafkaError as error:
            raise Unprepared(
                f"topic {name} is missing and can't be made here ({in_words(error)}). Make it with "
                f"{partitions} partition{'' if partitions == 1 else 's'}"
            ) from error
