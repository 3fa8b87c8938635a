"""The Kafka log: the only package that imports kafka-python, for sales and prices."""

from kafka.errors import KafkaError

__all__ = ["KafkaError"]
