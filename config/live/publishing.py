"""Sends one event to all web processes by Redis. Called from workers, commands and web threads."""

from typing import Any

from django_eventstream import send_event
from redis.exceptions import RedisError

from config.outage import Outage

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
