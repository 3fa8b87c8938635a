"""`manage.py publish_prices FILE`: a CSV file of prices into Kafka, the specification's step 3."""

import secrets
import time
from pathlib import Path
from typing import Any

import redis
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from streaming.interruption import noticed
from streaming.kafka_log import KafkaError, topics
from streaming.kafka_log.connection import Unusable, in_words
from streaming.kafka_log.transactions import Uncommitted
from streaming.management.arguments import partitions, plural, rate
from streaming.pace import Pace
from streaming.prices import connection, placement, sources
from streaming.prices.options import Options
from streaming.prices.price_file import FileError, PriceFile, opened
from streaming.prices.publishing import Publisher, Tally, came_before
from streaming.prices.stocks import Stocks

AGAIN = "Start it again: it publishes from the first row, and the consumer leaves out what it has."


class Command(BaseCommand):
    help = (
        "Write the rows of a CSV file (Time, Stock, Price) to Kafka, with the stock as key. They"
        " carry file and row, so that the consumer adds each once, however often they come."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="CSV with Time, Stock and Price")
        parser.add_argument(
            "--again",
            action="store_true",
            help="have the rows added once more, as if they were those of another file",
        )
        parser.add_argument(
            "--partitions",
            type=partitions,
            metavar="N",
            help="of the topic, where it is made because it is missing (default PRICES_PARTITIONS)",
        )
        parser.add_argument(
            "--rate",
            type=rate,
            metavar="N",
            help="rows a second; 0 or max: as fast as possible (default max)",
        )
        parser.add_argument("--no-progress", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        self.options = options
        self.tally = Tally()
        self.configured = Options.from_settings()
        started = time.monotonic()
        try:
            with opened(options["file"]) as file:
                count, known = self.prepare()
                finished = self.publish(file, known)
        except FileError as error:
            raise CommandError(f"{error}{self.so_far()}") from None
        except Uncommitted as error:
            raise CommandError(
                f"{error}{self.so_far()} Of the rows behind them, some may be there. {self.again()}"
            ) from error
        except (KafkaError, Unusable) as error:
            raise CommandError(f"{in_words(error)}{self.so_far()}") from error
        except redis.RedisError as error:
            raise CommandError(
                f"Redis (PRICES_REDIS_URL) knows which files came before: {error}"
            ) from error
        except KeyboardInterrupt:
            raise CommandError(f"Ended at once.{self.so_far()} {self.again()}") from None
        if not finished:
            raise CommandError(f"Ended before the end of the file.{self.so_far()} {self.again()}")
        self.show(count, time.monotonic() - started)

    def prepare(self) -> tuple[int, frozenset[str]]:
        """Make the topic if it is missing. Its partitions, and the files that came before."""
        topic = self.configured.topic
        stocks = Stocks(connection.reading())
        known = sources.known(stocks)
        positions = stocks.positions()
        wanted = self.options["partitions"] or self.configured.partitions
        with topics.admin() as client:
            before = topics.partition_counts(client, [topic]).get(topic)
            if before is None:
                topics.create(client, topic, wanted)
        if before is not None:
            if self.options["partitions"] not in (None, before):
                self.stderr.write(
                    f"Note: topic {topic} has {plural(before, 'partition')} already, and keeps"
                    " them: --partitions counts where the topic is made."
                )
            return before, known | came_before(topic)
        self.stdout.write(f"Made topic {topic} with {plural(wanted, 'partition')}.")
        if any(place.startswith(f"{placement.PREFIX}{topic}:") for place in positions):
            self.stderr.write(
                f"Note: rows of a former topic {topic} were read before. The consumer waits until"
                " `manage.py seek_prices` has told it where to begin."
            )
        return wanted, known

    def publish(self, file: PriceFile, known: frozenset[str]) -> bool:
        """Write the file, and show how far it is; whether it came to the end."""
        survey = file.survey(known=known)
        mark = f"{survey.sha256}#{secrets.token_hex(4)}" if self.options["again"] else ""
        reading = file.reading(file.beginning())
        # Two of one file at once would do no harm, but one of them is enough.
        publisher = Publisher(
            f"{self.configured.group}.publish.{mark or survey.sha256}",
            self.configured.topic,
            batch=self.configured.batch,
            pace=Pace(self.options["rate"]),
        )
        self.tally = publisher.tally
        # Where there is no terminal, tqdm shows nothing.
        quiet = self.options["no_progress"] or self.options["verbosity"] == 0
        try:
            with (
                noticed() as ended,
                tqdm(
                    desc=f"Publish to {self.configured.topic}",
                    unit=" rows",
                    unit_scale=True,
                    disable=True if quiet else None,
                ) as bar,
            ):
                finished = publisher.run(
                    reading, lambda line: mark or survey.source(line), ended, bar.update
                )
        finally:
            publisher.close()
        if finished and reading.position().sha256 != survey.sha256:
            raise FileError(
                f"{file.path} was changed while it was read: what was published carries the mark"
                f" of the file before, {survey.sha256}."
            )
        return finished

    def show(self, count: int, seconds: float) -> None:
        """What this run has done."""
        tally = self.tally
        self.stdout.write(
            f"Published {plural(tally.rows, 'row')} to topic {self.configured.topic}"
            f" ({plural(count, 'partition')}) in {seconds:.1f} s."
        )
        if tally.refused:
            reasons = ", ".join(f"{name} {n:,}" for name, n in tally.refused.most_common())
            self.stdout.write(
                f"{plural(tally.refused.total(), 'row')} of them will be refused ({reasons}) and"
                " become dead letters."
            )
        if self.options["again"]:
            self.stdout.write("They are added once more, whatever was added before.")
        else:
            self.stdout.write("Rows that were added before are left out by the consumer.")

    def so_far(self) -> str:
        """What an error means for the rows before it."""
        rows = self.tally.rows
        return f" {plural(rows, 'row')} were published." if rows else ""

    def again(self) -> str:
        """What to do after an end in the middle."""
        if not self.options["again"]:
            return AGAIN
        return "They are added once more. Another run with --again would add them yet another time."
