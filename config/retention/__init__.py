"""What is kept for a time only: one sweep lets go of all of it (docs/data.md)."""
