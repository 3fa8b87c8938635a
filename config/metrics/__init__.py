"""Figures for Prometheus at /metrics, of which docs/metrics.md has the list."""
