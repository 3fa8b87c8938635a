"""Checks of what sales has put out: the sums made again in PostgreSQL, another way.

`manage.py verify_sales` calls verification.verify. Nothing here uses the modules that make the
sums (messages, amounts, window, partition): what is checked must not check itself.
"""
