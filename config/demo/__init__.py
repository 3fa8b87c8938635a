"""`make demo`: sample data and gentle generators beside all of `make run`, and their removal."""
