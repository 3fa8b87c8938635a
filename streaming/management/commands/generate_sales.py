"""`manage.py generate_sales FILE`: sends the retail file to Kafka, as the spec's producer does."""

import logging
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from streaming.interruption import Interruption, noticed
from streaming.kafka_log import KafkaError, topics
from streaming.kafka_log.connection import Unusable, in_words
from streaming.kafka_log.producer import Producer
from streaming.management.arguments import partitions, plural, rate, topic
from streaming.pace import Pace
from streaming.sales import preparation
from streaming.sales.generator import Generator, Tally
from streaming.sales.options import Options
from streaming.sales.retail_file import FileError, NoSale, Sale, sales

logger = logging.getLogger(__name__)

DEFAULT_RATE = 100.0
MOST_SHOWN = 20  # lines that are no sale, of the first pass


class Told:
    """Shows what the generator does: a bar, and the first lines that are no sale."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._refused = 0
        self._first_pass = True

    def __call__(self, each: Sale | NoSale) -> None:
        if isinstance(each, Sale):
            self._bar.update()
        elif self._first_pass:
            self._refused += 1
            if self._refused <= MOST_SHOWN:
                self._write(f"Line {each.line:,} is no sale: {each.reason}")

    def end_pass(self) -> None:
        """Later passes would only repeat what the first one has shown."""
        if self._first_pass and self._refused > MOST_SHOWN:
            self._write(f"… and {self._refused - MOST_SHOWN:,} lines more")
        self._first_pass = False

    def _write(self, text: str) -> None:
        self._bar.write(text, file=sys.stderr)


class Command(BaseCommand):
    help = (
        "Send the sales of a retail file to Kafka, with the StockCode as key and the present time"
        " as InvoiceDate, again and again until Ctrl-C."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="CSV with Invoice, StockCode, Price …")
        parser.add_argument(
            "--rate",
            type=rate,
            default=DEFAULT_RATE,
            metavar="N",
            help=f"records a second; 0 or max: as fast as possible (default {DEFAULT_RATE:g})",
        )
        parser.add_argument(
            "--partitions",
            type=partitions,
            metavar="P",
            help="partitions of topics that are made because they are missing"
            " (default SALES_PARTITIONS)",
        )
        parser.add_argument("--once", action="store_true", help="end with the file")
        parser.add_argument(
            "--like-original",
            action="store_true",
            help="the spec's messages: bare NaN for empty cells, fields in the file's order",
        )
        parser.add_argument("--topic", type=topic, metavar="T", help="default SALES_INPUT_TOPIC")
        parser.add_argument("--encoding", default="latin-1", help="default latin-1")
        parser.add_argument("--no-progress", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        self.options = options
        self.quiet = options["no_progress"] or options["verbosity"] == 0
        configured = Options.from_settings()
        topic = options["topic"] or configured.input_topic
        self.total = Tally()
        started = time.monotonic()
        try:
            if next(self.found(), None) is None:
                raise CommandError(f"{options['file']} has no line below its heading.")
            count = self.prepare(configured, topic)
            with noticed() as ended, Producer(client_id="generate-sales") as producer:
                self.send(producer, topic, ended)
                producer.flush()
        except (FileError, preparation.Unprepared) as error:
            raise CommandError(f"{error}{self.handed_over()}") from None
        except (KafkaError, Unusable) as error:
            raise CommandError(f"{in_words(error)}{self.handed_over()}") from error
        except KeyboardInterrupt:
            raise CommandError(f"Ended at once.{self.handed_over()}") from None
        seconds = time.monotonic() - started
        refused = self.total.refused
        without = f" {plural(refused, 'line')} of the file were no sale." if refused else ""
        self.stdout.write(
            f"Sent {self.total.sent:,} sales to topic {topic} ({plural(count, 'partition')}) in"
            f" {seconds:.1f} s, {self.total.sent / seconds:,.0f} a second.{without}"
        )

    def found(self) -> Iterator[Sale | NoSale]:
        """What one reading of the file finds."""
        options = self.options
        return sales(options["file"], options["encoding"], like_original=options["like_original"])

    def prepare(self, configured: Options, topic: str) -> int:
        """Make the topics that are missing; the number of partitions of `topic`."""
        wanted = self.options["partitions"] or configured.partitions
        with topics.admin() as client:
            before = topics.partition_counts(client, [topic]).get(topic)
            if topic != configured.input_topic and before is None:
                topics.create(client, topic, wanted, preparation.STAMPED)
        if topic == configured.input_topic:
            for warning in preparation.prepare(replace(configured, partitions=wanted)):
                self.stderr.write(f"Note: {warning.words}.")
        if before is None:
            self.stdout.write(f"Made topic {topic} with {plural(wanted, 'partition')}.")
        elif self.options["partitions"] not in (None, before):
            self.stderr.write(
                f"Note: topic {topic} has {plural(before, 'partition')} already, and keeps them:"
                " --partitions counts for topics that are made. `manage.py rekey_sales` copies a"
                " topic into one with another number."
            )
        return before or wanted

    def send(self, producer: Producer, topic: str, ended: Interruption) -> None:
        """Send pass after pass until the end that was asked for."""
        pace = Pace(self.options["rate"])
        generator = Generator(lambda key, value: producer.send(topic, key, value), pace, ended)
        self.total = generator.total
        # Where there is no terminal, tqdm shows nothing.
        disable = True if self.quiet else None
        with tqdm(desc=f"Send to {topic}", unit=" sales", unit_scale=True, disable=disable) as bar:
            told = Told(bar)
            while not ended():
                found = generator.run_pass(self.found(), told)
                if not found.sent and not ended():
                    raise FileError(f"No line of {self.options['file']} is a sale.")
                if bar.disable:
                    logger.info(
                        "pass over %s: %d sales sent, %d lines were no sale",
                        self.options["file"],
                        found.sent,
                        found.refused,
                    )
                told.end_pass()
                if self.options["once"]:
                    return

    def handed_over(self) -> str:
        """What an error in the middle means for the sales before it."""
        if not self.total.sent:
            return ""
        return f" {self.total.sent:,} sales were handed over; the last of them may not be written."
