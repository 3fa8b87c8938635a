"""What the last turn of retention let go of, and what it could not."""

from typing import Any

from config.retention import outcome

Sample = dict[str, Any]


def facts(before: Sample) -> dict[str, Any]:
    """`at` of the last turn, None before the first; of each purge `error` without the text of the
    exception, which names hosts and users. Raises redis.RedisError."""
    found = outcome.read()
    if found is None:
        return {"at": None, "purges": []}
    purges = [
        {**{name: each[name] for name in ("name", "setting", "deleted", "more")}, "error": why}
        for each in found["purges"]
        for why in [each["error"].partition(":")[0]]
    ]
    return {"at": found["at"], "purges": purges}
