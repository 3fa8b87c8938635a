"""The ledger: transactions from RabbitMQ into Postgres, balances to KeyDB at every full minute.

The modules messages, amounts and minutes are pure: no Django, no engine.
"""
