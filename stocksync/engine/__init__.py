"""The synchronization itself: standard library alone, Python 3.6, no Django."""
