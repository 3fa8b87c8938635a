"""Imports of CSV files: from the first uploaded byte to the merged catalogue."""
