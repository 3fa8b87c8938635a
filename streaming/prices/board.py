"""What the instances of `prices` show of themselves: a snapshot each, in Redis."""

from django.conf import settings

from config.live.board import Board

BOARD = Board("prices", lambda: settings.PRICES_SNAPSHOT_SECONDS)
CHANNEL = BOARD.name  # live event of each new snapshot
SNAPSHOTS = BOARD.index

publish = BOARD.publish
remove = BOARD.remove
snapshots = BOARD.snapshots
tell = BOARD.tell
