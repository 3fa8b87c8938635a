"""`manage.py seek_prices --to beginning|end|OFFSET`: says where prices reads on in its topic."""

from argparse import ArgumentTypeError
from typing import Any

import redis
from django.core.management.base import BaseCommand, CommandError, CommandParser

from streaming.kafka_log import KafkaError
from streaming.prices.options import Options
from streaming.prices.seeking import Refused, seek
from streaming.prices.store import Moved, Store
from streaming.prices.trouble import in_words

MOST_OFFSET = 2**63 - 1


class Command(BaseCommand):
    help = (
        "Set where the consumer prices reads on, also in a topic that was deleted and made again."
        " It notices within seconds, without a restart. Rows that carry their source (those of"
        " publish_prices) are added once however often they are read; others are added again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--to", required=True, type=_target, metavar="beginning|end|OFFSET", help="where to"
        )
        parser.add_argument("--partition", type=_number, help="only this one, default: all")

    def handle(self, *args: Any, **options: Any) -> None:
        topic = Options.from_settings().topic
        try:
            for partition, before, now in seek(
                Store.from_settings(), topic, options["to"], options["partition"]
            ):
                self.stdout.write(
                    f"Partition {partition} of {topic}: from"
                    f" {'the beginning' if before is None else before} to {now}"
                )
        except Refused as refused:
            raise CommandError(f"{str(refused)[0].upper()}{str(refused)[1:]}.") from None
        except Moved as moved:
            raise CommandError(
                f"Others move the position all the time ({moved.found}). Stop prices and try again."
            ) from moved
        except (KafkaError, redis.RedisError, OSError) as error:
            raise CommandError(in_words(error)) from error


def _target(text: str) -> str:
    return text if text in ("beginning", "end") else str(_number(text))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) > MOST_OFFSET:
        raise ArgumentTypeError(f"{text!r} is no offset: beginning, end or a number")
    return int(text)
