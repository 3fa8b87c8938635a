"""The log of deliveries and their attempts, retry and replay. Pages, API and services."""
