"""`manage.py seed_redis FILE`: initial values of stocks and users into the Redis of prices."""

from pathlib import Path
from typing import Any

import redis
from django.core.management.base import BaseCommand, CommandError, CommandParser

from streaming.management.arguments import plural
from streaming.prices.seed_file import Entry, entries
from streaming.prices.store import Store


class Command(BaseCommand):
    help = (
        "Set the initial values of stocks and users, from lines of SET key 'json' as in the"
        " specification's sample. Keys that are there already stay as they are."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="lines of SET key 'json'")
        parser.add_argument(
            "--replace", action="store_true", help="set keys that are there already too"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        store = Store.from_settings()
        stocks: list[str] = []
        users: list[str] = []
        left: list[str] = []
        refused = 0
        try:
            with path.open(encoding="utf-8-sig") as file:
                for each in entries(file):
                    reason = "" if isinstance(each, Entry) else each.reason
                    if isinstance(each, Entry):
                        try:
                            done = put(store, each, replace=options["replace"])
                        except redis.ResponseError as error:
                            reason = f"{each.key}: {error}"
                        else:
                            kept = left if not done else users if each.is_user else stocks
                            kept.append(each.key)
                    if reason:
                        refused += 1
                        self.stderr.write(f"Line {each.line:,} is refused: {reason}")
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise CommandError(f"{path} is not written in UTF-8: {error}") from None
        except redis.RedisError as error:
            raise CommandError(f"Redis (PRICES_REDIS_URL): {error} Start it again.") from error
        for names, noun in ((stocks, "stock"), (users, "user")):
            if names:
                self.stdout.write(f"Set {plural(len(names), noun)}: {', '.join(names)}.")
        if left:
            self.stdout.write(
                f"Left as they are: {', '.join(left)}. `--replace` sets them too, and a stock's"
                " history begins anew with it."
            )
        if refused:
            raise CommandError(f"{plural(refused, 'line')} of {path} refused.")
        if not (stocks or users or left):
            raise CommandError(f"{path} has no line.")


def put(store: Store, entry: Entry, *, replace: bool) -> bool:
    """Set the key; False where it was there and is not to be replaced. Raises redis.RedisError."""
    if entry.is_user:
        return bool(store.client.set(entry.key, entry.text, nx=not replace))
    return store.seed(entry.key, entry.text, replace=replace)
