"""Which channels exist and who may read them. Asked by the stream view and django-eventstream."""

import re
from typing import Any

from django.urls.converters import UUIDConverter
from django.utils.module_loading import import_string
from django_eventstream.channelmanager import ChannelManagerBase

from config.accounts import scopes
from config.accounts.models import ApiToken, User
from config.accounts.permissions import may

# Full names of channels, by the area whose read right they need. An area adds its own here.
CHANNELS = {
    "catalogue": re.compile(r"imports|(?:import|bulk)-[0-9]{1,18}"),
    "webhooks": re.compile(r"webhooks"),
    "stocksync": re.compile(r"stocksync-[0-9]{1,18}"),
    "streaming": re.compile(r"sales|prices"),
    "orders": re.compile(rf"orders|order-{UUIDConverter.regex}"),
    "ledger": re.compile(r"ledger"),
    "operations": re.compile(r"operations|checks"),
}
# Where not every reader of an area may follow all its channels: a function of channel, user and
# token (None for who is signed in). For those it refuses there is no such channel.
CHECKS = {"orders": "transactions.orders.live.may_follow"}


class ChannelManager(ChannelManagerBase):  # type: ignore[misc]
    def can_read_channel(self, user: Any, channel: str) -> bool:
        """Whether `user` (None: nobody) may read `channel`: who may read its area."""
        needed = needed_right(channel)
        if user is None or needed is None or not user.is_authenticated:
            return False
        return may(user, needed)

    def is_channel_reliable(self, channel: str) -> bool:
        """Never: a stored event costs 7 queries, and a page can always read the state."""
        return False


def is_channel(name: str) -> bool:
    """Whether anything is ever sent on a channel of this name."""
    return needed_right(name) is not None


def needed_right(channel: str) -> str | None:
    """What a reader needs ("catalogue:read"), None where there is no such channel."""
    for area, names in CHANNELS.items():
        if names.fullmatch(channel):
            return f"{area}:read"
    return None


def is_there_for(channel: str, user: User, token: ApiToken | None) -> bool:
    """Whether who may read the channel's area may follow what this one is about. May query."""
    area, _, _ = (needed_right(channel) or "").partition(":")
    return area not in CHECKS or import_string(CHECKS[area])(channel, user, token)


def token_may_read(token: ApiToken, channel: str) -> bool:
    """Whether the token's scopes cover `channel`; its owner's role is another matter."""
    needed = needed_right(channel)
    return needed is not None and scopes.allows(token.scopes, needed)
