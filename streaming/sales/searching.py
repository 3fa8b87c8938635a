"""Looks in the topics for what the group's offsets do not tell. Called by the loop.

All functions raise KafkaError.
"""

from streaming.kafka_log.membership import Group
from streaming.kafka_log.reader import Reader

from .options import Options

# How many records back a base for a search by time is looked for.
LOOK_BACK = 1_000


def offset_by_time(
    group: Group, options: Options, number: int, first: int, live_from: int, end: int
) -> int:
    """Where the window of the record at `live_from` begins by the broker's timestamps."""
    limits = options.limits
    reach = limits.window_seconds + limits.lateness_seconds + limits.max_skew_seconds
    topic = options.input_topic
    with Reader() as reader:
        here = next(reader.read(topic, number, live_from, end), None)
        if here is None:
            back = reader.read(topic, number, max(first, live_from - LOOK_BACK), live_from)
            here = max(back, key=lambda record: record.timestamp_ms, default=None)
    if here is None:
        return live_from
    found = group.offset_at(number, here.timestamp_ms - round(reach * 1000))
    return live_from if found is None else max(first, min(found, live_from))


def put_out_already(options: Options, number: int, first: int, end: int) -> bool:
    """Whether sales of `first` to below `end` have outputs, as far as timestamps tell.

    Outputs carry those of their sales. Aborted ones, as of a first start that was killed, and those
    of an input topic that was there before this one do not count.
    """
    if first >= end:
        return False
    topic = options.output_topic
    with Reader() as reader:
        oldest = next(reader.read(options.input_topic, number, first, end), None)
        if oldest is None:
            return False
        since = reader.offsets_at(topic, oldest.timestamp_ms).get(number)
        if since is None:
            return False
        return next(reader.read(topic, number, since, reader.end(topic)[number]), None) is not None
