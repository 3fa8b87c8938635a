"""What the instances of `sales` show: their snapshots, and which curves are wanted in them.

The loop publishes, pages and API read, and merging.py makes one of all. A page that shows one
StockCode asks here for its curve.
"""

from django.conf import settings

from config.live.board import Board, publishing, reading

BOARD = Board("sales", lambda: settings.SALES_SNAPSHOT_SECONDS)
CHANNEL = BOARD.name  # live event of each new snapshot
SNAPSHOTS = BOARD.index
WATCHED = "stockroom:sales:watched"
WATCH_SECONDS = 30
WATCHED_MOST = 50

publish = BOARD.publish
remove = BOARD.remove
snapshots = BOARD.snapshots


def watch(stock_code: str) -> None:
    """Ask for the curve of `stock_code` for the next 30 s; of more than 50 the oldest is dropped.

    Raises redis.RedisError.
    """
    client = reading()
    seconds, microseconds = client.time()  # web processes on several hosts
    now = seconds + microseconds / 1e6
    with client.pipeline() as pipe:
        pipe.zadd(WATCHED, {stock_code: now})
        pipe.zremrangebyscore(WATCHED, "-inf", now - WATCH_SECONDS)
        pipe.zremrangebyrank(WATCHED, 0, -WATCHED_MOST - 1)
        pipe.expire(WATCHED, WATCH_SECONDS)
        pipe.execute()


def watched() -> list[str]:
    """The StockCodes whose curve somebody looks at, the last asked for first.

    One that nobody asks for any more stays until another is asked for, 30 s at most beyond that.
    Raises redis.RedisError.
    """
    return list(map(str, publishing().zrange(WATCHED, 0, -1, desc=True)))
