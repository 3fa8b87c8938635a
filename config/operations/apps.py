"""Operations: what is wrong, who was told, and which checks were run."""

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "config.operations"
    label = "operations"
