"""Live pages: small snapshots of the current state, sent to whoever looks at it.

Used by services: `live.throttle("import-7").publish(make_snapshot)`, at the end
`.flush(make_snapshot)`; `live.publish(channel, snapshot)` where it happens once.
Nothing is stored and any event may be lost: a page reads the state by REST when
its stream opens, reopens or says `stream-reset` (templates/static/live.js).
"""

from .channels import ChannelManager
from .publishing import publish
from .throttling import Throttle, throttle

__all__ = ["ChannelManager", "Throttle", "publish", "throttle"]
