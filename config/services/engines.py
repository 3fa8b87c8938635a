"""The engines there are, by name, in the order in which they are named to users."""

from config.services.engine import Engine
from config.services.kafka import Kafka
from config.services.postgres import Postgres
from config.services.rabbitmq import RabbitMQ
from config.services.valkey import Valkey

ENGINES: dict[str, type[Engine]] = {
    "postgres": Postgres,
    "valkey": Valkey,
    "kafka": Kafka,
    "rabbitmq": RabbitMQ,
}
