"""`manage.py rekey_sales --from data --to data2`: copies a topic by StockCode, exactly once."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from streaming.interruption import noticed
from streaming.kafka_log import KafkaError
from streaming.kafka_log.connection import Unusable, in_words
from streaming.kafka_log.transactions import Uncommitted
from streaming.kafka_log.watchdog import Watchdog
from streaming.management.arguments import partitions, plural, topic
from streaming.sales.options import Options
from streaming.sales.rekey import Tally, run
from streaming.sales.rekey_plan import Plan, Refused, prepare

HANG_SECONDS = 90.0
AGAIN = "Start it again: it goes on where it stopped."


class Command(BaseCommand):
    help = (
        "Copy a topic so that each StockCode is in one partition: the key becomes the StockCode;"
        " value, headers and timestamp stay. Exactly once; may be killed and started again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--from", dest="source", type=topic, metavar="TOPIC", help="default SALES_INPUT_TOPIC"
        )
        parser.add_argument("--to", dest="target", type=topic, metavar="TOPIC", required=True)
        parser.add_argument(
            "--partitions",
            type=partitions,
            metavar="P",
            help="of the new topic, where it is missing (default SALES_PARTITIONS)",
        )
        parser.add_argument(
            "--follow", action="store_true", help="go on with what comes, until Ctrl-C"
        )
        parser.add_argument(
            "--group", metavar="G", help="remembers how far the copy is (default rekey.FROM.TO)"
        )
        parser.add_argument(
            "--append", action="store_true", help="write behind records that are there already"
        )
        parser.add_argument("--no-progress", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        configured = Options.from_settings()
        source = options["source"] or configured.input_topic
        target = options["target"]
        plan = Plan(
            source,
            target,
            options["group"] or f"{settings.KAFKA_PREFIX}rekey.{source}.{target}",
            follow=options["follow"],
            append=options["append"],
        )
        if plan.group == configured.group:
            raise CommandError(f"Group {plan.group} is that of sales itself: name another.")
        tally = Tally()
        try:
            prepare(plan, options["partitions"] or configured.partitions)
            quiet = options["no_progress"] or options["verbosity"] == 0
            finished = self.copy(plan, tally, quiet=quiet)
        except Refused as error:
            raise CommandError(str(error)) from None
        except (KafkaError, Unusable) as error:
            raise CommandError(f"{in_words(error)}{so_far(tally)}") from error
        except Uncommitted as error:
            raise CommandError(f"{error}{so_far(tally)}") from error
        except KeyboardInterrupt:
            raise CommandError(f"Ended at once.{so_far(tally)}") from None
        self.stdout.write(summary(plan, tally))
        if not finished and not plan.follow:
            self.stdout.write(f"That is not all. {AGAIN}")

    def copy(self, plan: Plan, tally: Tally, *, quiet: bool) -> bool:
        """Copy, and show how far it is; whether it came to the end."""
        with (
            noticed() as ended,
            Watchdog("rekey_sales", HANG_SECONDS) as watchdog,
            # Where there is no terminal, tqdm shows nothing.
            tqdm(
                desc=f"Copy {plan.source} to {plan.target}",
                unit=" records",
                unit_scale=True,
                disable=True if quiet else None,
            ) as bar,
        ):

            def told(left: int | None) -> None:
                watchdog.beat()
                copied = tally.counts.total()
                if left is not None and not plan.follow:
                    bar.total = copied + left
                bar.update(copied - bar.n)

            return run(plan, tally, ended, told)


def summary(plan: Plan, tally: Tally) -> str:
    """What this run has copied."""
    counts = tally.counts
    if not counts.total():
        return f"Nothing was left to copy from {plan.source} to {plan.target}."
    return (
        f"Copied {plural(counts.total(), 'record')} from {plan.source} to {plan.target}:"
        f" {counts['new_key']:,} have their StockCode as key now,"
        f" {counts['same_key']:,} had it before,"
        f" {counts['no_sale']:,} are no sale and keep the key they have."
    )


def so_far(tally: Tally) -> str:
    """What an error means for the records before it."""
    count = tally.counts.total()
    return f" {plural(count, 'record')} were copied before. {AGAIN}" if count else ""
