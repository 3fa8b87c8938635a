"""Which incarnation of a topic a member of a group reads: one deleted and made again is another.

kafka-python fetches by the topic's name, and a topic made again counts from 0 anew: without this
its records would be taken for the continuation of what was read before.
"""

import uuid
from collections.abc import Iterable

from kafka.errors import (
    InconsistentTopicIdError,
    LeaderNotAvailableError,
    UnknownTopicOrPartitionError,
    for_code,
)
from kafka.protocol.metadata import MetadataRequest
from kafka.structs import TopicPartition

from .membership import REQUEST_TIMEOUT_MS, Group

NO_ID = "-"  # of brokers older than 2.8


class Incarnation:
    """The topic of a `Group` as it is there now."""

    def __init__(self, group: Group) -> None:
        self._topic = group._topic
        self._consumer = group._consumer

    def topic_id(self, partitions: Iterable[int]) -> str | None:
        """Id of the topic that is there now, None where there is none.

        The leaders of `partitions` are asked. What a leader gave out before it answers is of the
        topic it answers with, or of an earlier one: so records that were polled, and offsets that
        were told, before the right id came are of the right topic. Raises KafkaError.
        """
        cluster = self._consumer._cluster
        nodes = {
            cluster.leader_for_partition(TopicPartition(self._topic, number))
            for number in partitions
        }
        found = {self._ask(node) for node in sorted(nodes - {None, -1}) or [None]}
        if len(found) > 1:
            raise InconsistentTopicIdError(f"the brokers know {self._topic} by several ids")
        known = found.pop()
        if known != text_of(cluster.topic_id(self._topic)):
            cluster.request_update()
        return known

    def _ask(self, node: int | None) -> str | None:
        request = MetadataRequest(
            topics=[MetadataRequest.MetadataRequestTopic(name=self._topic)],
            allow_auto_topic_creation=False,
            include_cluster_authorized_operations=False,
            include_topic_authorized_operations=False,
        )
        manager = self._consumer._manager

        async def answer() -> object:
            return await manager.wait_for(manager.send(request, node_id=node), REQUEST_TIMEOUT_MS)

        (topic,) = self._consumer._net.run(answer).topics
        error = for_code(topic.error_code)
        if error is UnknownTopicOrPartitionError:
            return None
        # A topic whose partitions wait for a leader is told with its id.
        if topic.error_code and error is not LeaderNotAvailableError:
            raise error(self._topic)
        return text_of(topic.topic_id)


def text_of(topic_id: uuid.UUID | str | None) -> str:
    """An id as it is kept; `NO_ID` where the brokers give none."""
    text = str(topic_id or "")
    return NO_ID if not text.strip("-0") else text
