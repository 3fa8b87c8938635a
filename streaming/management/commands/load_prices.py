"""`manage.py load_prices FILE`: a CSV file of prices into Redis, the specification's step 1."""

import time
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from streaming.interruption import noticed
from streaming.management.arguments import plural
from streaming.prices import board
from streaming.prices.loading import Load, NotWanted, Tally
from streaming.prices.price_file import FileError, PriceFile, opened
from streaming.prices.store import Moved, Store

AGAIN = "Start it again: it goes on where it stopped."
MOST_NAMES = 10


class Command(BaseCommand):
    help = (
        "Add the rows of a CSV file (Time, Stock, Price) to the histories in Redis, each once. May"
        " be killed and started again; a file that has grown adds its new rows."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="CSV with Time, Stock and Price")
        over = parser.add_mutually_exclusive_group()
        over.add_argument(
            "--add",
            action="store_true",
            help="add to histories that came from another file or by Kafka",
        )
        over.add_argument(
            "--replace", action="store_true", help="forget the histories of all stocks before"
        )
        parser.add_argument("--no-progress", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        self.options = options
        self.tally = Tally()
        started = time.monotonic()
        try:
            with opened(options["file"]) as file:
                finished = self.load(Store.from_settings(), file)
        except (FileError, NotWanted) as error:
            raise CommandError(f"{error}{self.so_far()}") from None
        except Moved:
            raise CommandError(
                f"Another load_prices works on the same histories, and went on.{self.so_far()}"
                " Wait for its end, then start this one again."
            ) from None
        except redis.RedisError as error:
            raise CommandError(
                f"Redis (PRICES_REDIS_URL): {error}{self.so_far()} {AGAIN}"
            ) from error
        except KeyboardInterrupt:
            raise CommandError(f"Ended at once.{self.so_far()} {AGAIN}") from None
        if not finished:
            raise CommandError(f"Ended before the end of the file.{self.so_far()} {AGAIN}")
        self.show(time.monotonic() - started)

    def load(self, store: Store, file: PriceFile) -> bool:
        """Load what is left of the file, and show how far it is; whether it came to the end."""
        with noticed() as ended:
            load = Load(store, file, add=self.options["add"], replace=self.options["replace"])
            self.tally = load.tally
            if load.cleared:
                self.stdout.write(f"Forgot the histories of {plural(load.cleared, 'stock')}.")
            if load.left_bytes and load.start.rows:
                self.stdout.write(f"Goes on behind row {load.start.rows:,}.")
            # Where there is no terminal, tqdm shows nothing.
            quiet = self.options["no_progress"] or self.options["verbosity"] == 0
            with tqdm(
                desc=f"Load {file.path.name}",
                total=file.size,
                initial=load.start.bytes,
                unit="B",
                unit_scale=True,
                disable=True if quiet else None,
            ) as bar:

                def told(count: int) -> None:
                    bar.update(count)
                    board.tell(time.time())  # open pages

                return load.run(settings.PRICES_BATCH, ended, told)

    def show(self, seconds: float) -> None:
        """What this run has done."""
        tally, path = self.tally, self.options["file"]
        if not tally.rows:
            self.stdout.write(f"Nothing to add: all rows of {path} are in already.")
            return
        self.stdout.write(
            f"Read {plural(tally.rows, 'row')} of {path} in {seconds:.1f} s: {tally.added:,} added,"
            f" {tally.repeated:,} repeated, {tally.refused.total():,} refused."
        )
        for reason, count in tally.refused.most_common():
            self.stdout.write(f"  {reason}: {count:,}")
        if tally.refused:
            self.stdout.write("Refused rows are kept with their reasons: see the dead letters.")
        if tally.stocks:
            names = sorted(tally.stocks)
            more = f" and {len(names) - MOST_NAMES:,} more" if len(names) > MOST_NAMES else ""
            self.stdout.write(f"Stocks: {', '.join(names[:MOST_NAMES])}{more}.")

    def so_far(self) -> str:
        """What an error means for the rows before it."""
        rows = self.tally.rows
        return f" {plural(rows, 'row')} of this run are in." if rows else ""
