"""BuyStock: an order answered at once, decided safely, told without delay.

`engine/` is the consumer `orders`: it verifies, settles in Redis and decides in Postgres.
"""
