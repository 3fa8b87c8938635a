"""Runs in a consumer's process: from an order received to one decided."""
