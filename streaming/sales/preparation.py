"""Sees to it that the three topics are there and fit together, before anything is read."""

from dataclasses import dataclass

from streaming.kafka_log import KafkaError, topics
from streaming.kafka_log.connection import in_words

from .options import Options

# The broker's clock decides what is ahead of time; a producer's could be anything.
STAMPED = {"message.timestamp.type": "LogAppendTime"}
# Outputs carry the time of the record they follow from.
CARRIED = {"message.timestamp.type": "CreateTime"}


class Unprepared(Exception):
    """The topics can't be used yet. The text says what an operator should do."""


@dataclass(frozen=True)
class TopicWarning:
    """Something that an operator should know; nothing stops because of it."""

    code: str
    words: str


def prepare(options: Options) -> list[TopicWarning]:
    """Make what is missing, where that is allowed; what is wrong but no obstacle is returned.

    Raises Unprepared, and KafkaError where the broker is away.
    """
    with topics.admin() as client:
        source = topics.facts(client, options.input_topic)
        if source is None:
            _create(client, options.input_topic, options.partitions, STAMPED)
            source = topics.TopicFacts(options.partitions, log_append_time=True)
        for name in (options.output_topic, options.dead_letter_topic):
            count = topics.partition_counts(client, [name]).get(name)
            if count is None:
                _create(client, name, source.partitions, CARRIED)
            elif name == options.output_topic and count < source.partitions:
                _grow(client, name, count, source.partitions, options)
    return warnings(source, options)


def warnings(source: topics.TopicFacts, options: Options) -> list[TopicWarning]:
    """What is wrong with the input topic's settings."""
    found = []
    if source.log_append_time is False:
        found.append(
            TopicWarning(
                "create_time",
                f"topic {options.input_topic} is stamped by its producers (CreateTime): whether a "
                "sale is ahead of time is decided by their clocks. Set "
                "message.timestamp.type=LogAppendTime",
            )
        )
    limits = options.limits
    needed = limits.window_seconds + limits.lateness_seconds
    kept = source.retention_ms
    if kept is not None and 0 <= kept < needed * 1000:
        found.append(
            TopicWarning(
                "short_retention",
                f"topic {options.input_topic} keeps records for {kept / 1000:g} s, a restart needs "
                f"those of {needed:g} s (window + lateness): sums may be short for one window "
                "after it. Set retention.ms higher",
            )
        )
    if limits.max_skew_seconds >= limits.lateness_seconds:
        found.append(
            TopicWarning(
                "wide_skew",
                f"SALES_MAX_SKEW_SECONDS ({limits.max_skew_seconds:g}) is not below "
                f"SALES_LATENESS_SECONDS ({limits.lateness_seconds:g}): one producer whose clock "
                "is ahead can make the sales of all others late",
            )
        )
    return found


def _create(client: topics.Client, name: str, partitions: int, settings: dict[str, str]) -> None:
    try:
        topics.create(client, name, partitions, settings)
    except KafkaError as error:
        raise Unprepared(
            f"topic {name} is missing and can't be made here ({in_words(error)}). Make it with "
            f"{partitions} partitions and "
            + " ".join(f"{key}={value}" for key, value in settings.items())
        ) from error


def _grow(client: topics.Client, name: str, count: int, wanted: int, options: Options) -> None:
    try:
        topics.grow(client, name, wanted)
    except KafkaError as error:
        raise Unprepared(
            f"topic {name} has {count} partitions, {options.input_topic} has {wanted}; each needs "
            f"its own, and they can't be added here ({in_words(error)}). Give {name} {wanted}"
        ) from error
