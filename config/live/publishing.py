"""Sends events to all web processes by Redis. Called from workers, commands and web threads."""

import json
from collections.abc import Mapping
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django_eventstream import eventstream, send_event
from redis.exceptions import RedisError

from config.outage import Outage

TOPIC = "events_channel"  # where django_eventstream.send_event publishes

# With a Redis that swallows packets every attempt costs its time-outs (1 s each, twice): at four
# events a second an import would stand still.
_outage = Outage("live events")


def publish(channel: str, snapshot: dict[str, Any], *, event: str = "snapshot") -> None:
    """Send `snapshot` (what DjangoJSONEncoder can write) to the viewers of `channel`.

    Call it after the commit: a viewer who then reads the state must see at least as much. Where
    Redis is away the event is lost and nothing is raised; viewers read the state once it is back.
    """
    if _outage.holds():
        return
    try:
        send_event(channel, event, snapshot)
    except (RedisError, OSError) as error:
        _outage.begin(error)
    else:
        _outage.end()


def publish_all(snapshots: Mapping[str, dict[str, Any]], *, event: str = "snapshot") -> bool:
    """Send to many channels in one round trip; returns whether Redis took it.

    `snapshots` by channel; else as `publish`. What was not taken may be given again: some of it
    may go out twice.
    """
    if _outage.holds():
        return False
    try:
        with eventstream.redis_client.pipeline(transaction=False) as pipe:
            for channel, snapshot in snapshots.items():
                pipe.publish(TOPIC, _message(channel, event, snapshot))
            pipe.execute()
    except (RedisError, OSError) as error:
        _outage.begin(error)
        return False
    _outage.end()
    return True


def _message(channel: str, event: str, snapshot: dict[str, Any]) -> str:
    """As send_event writes it; config.live.subscription reads it."""
    data = json.dumps(snapshot, cls=DjangoJSONEncoder)
    return json.dumps({"channel": channel, "event_type": event, "data": data, "pub_id": None})
