"""Which channels exist and who may read them. Asked by the stream view and django-eventstream."""

import re
from typing import Any

from django_eventstream.channelmanager import ChannelManagerBase

# Full names of channels. An area adds its own here.
CHANNELS = re.compile(r"imports|import-\d{1,18}")


class ChannelManager(ChannelManagerBase):  # type: ignore[misc]
    def can_read_channel(self, user: Any, channel: str) -> bool:
        """Whether `user` (None: nobody) may read `channel`: everybody who is signed in."""
        return user is not None and user.is_authenticated and is_channel(channel)

    def is_channel_reliable(self, channel: str) -> bool:
        """Never: a stored event costs 7 queries, and a page can always read the state."""
        return False


def is_channel(name: str) -> bool:
    """Whether anything is ever sent on a channel of this name."""
    return CHANNELS.fullmatch(name) is not None
