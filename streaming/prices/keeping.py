"""Whether the Redis of prices keeps what it has over a restart. Asked by their page."""

import redis

NOTHING = (
    "The Redis of prices keeps nothing over a restart: it has no append-only file and takes no"
    " snapshots. Set `appendonly yes` and `appendfsync always` there."
)
SNAPSHOTS = (
    "The Redis of prices has no append-only file: after a restart it has what its last snapshot on"
    " disk has. Set `appendonly yes` and `appendfsync always` there."
)
FORGETS = (
    "The Redis of prices throws keys away when its memory is full (`maxmemory-policy {}`),"
    " histories of stocks too. Set `maxmemory-policy noeviction` there."
)


def warnings(client: redis.Redis) -> list[str]:
    """What an operator should change. Raises redis.RedisError."""
    with client.pipeline(transaction=False) as pipe:
        pipe.info("persistence")
        pipe.info("memory")
        pipe.config_get("save")
        persistence, memory, save = pipe.execute(raise_on_error=False)
    found = []
    for each in (persistence, memory):
        if isinstance(each, redis.RedisError):
            raise each
    if str(persistence.get("aof_enabled", "1")) == "0":
        # Hosted servers don't let everybody see their settings.
        never = isinstance(save, dict) and save.get("save") == ""
        found.append(NOTHING if never else SNAPSHOTS)
    policy = str(memory.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction" and int(memory.get("maxmemory", 0)):
        found.append(FORGETS.format(policy))
    return found
