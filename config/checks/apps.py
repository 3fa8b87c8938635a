"""Checks of what is kept twice: each compares, and says what differs."""

from django.apps import AppConfig


class ChecksConfig(AppConfig):
    name = "config.checks"
    label = "checks"
