"""Hosts consumers: long-running loops that know nothing of Celery. See docs/consumers.md."""
