"""Whether a process of a role lives on this machine, by its beats.

Health checks of docker-compose.yml run `python -m config.operations.liveness ROLE`, which leaves
out Django: a quarter of what `manage.py check_process ROLE` costs. Both exit 0 or 1.
"""

import os
import socket
import sys

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

# As config/operations/processes.py and config/consumers/health.py name them: index, then
# `index:role:host:pid`, which expires when its process falls silent. Not imported from there,
# since both need Django.
INDEX_KEYS = ("stockroom:processes", "stockroom:consumers")
TIMEOUT_SECONDS = 2.0


def beating(url: str, role: str, host: str) -> list[str]:
    """The keys by which processes of `role` on `host` beat now. Raises redis.RedisError."""
    client = redis.Redis.from_url(
        url,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )
    found: list[str] = []
    with client:
        for index in INDEX_KEYS:
            keys: list[str] = client.zrange(index, 0, -1)  # type: ignore[assignment]
            own = [key for key in keys if key.startswith(f"{index}:{role}:{host}:")]
            found += [key for key in own if client.exists(key)]
    return found


def verdict(url: str, role: str, host: str) -> tuple[int, str]:
    """Exit code and a line for people.

    Without Redis nobody can tell, and a process that goes on without it must not be restarted for
    that: 0, with words.
    """
    try:
        keys = beating(url, role, host)
    except redis.RedisError as error:
        return 0, f"{role}: Redis does not answer ({type(error).__name__}), so nobody can tell"
    if not keys:
        return 1, f"{role}: no process on {host} beats"
    pids = ", ".join(key.rpartition(":")[2] for key in keys)
    return 0, f"{role}: beats on {host}, pid {pids}"


def main(arguments: list[str]) -> int:
    """The module's command line."""
    url = os.environ.get("REDIS_URL", "")
    if len(arguments) != 1 or not url:
        print("usage: REDIS_URL=… python -m config.operations.liveness ROLE", file=sys.stderr)
        return 2
    code, line = verdict(url, arguments[0], socket.gethostname())
    print(line)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
