"""Share prices: rows into Redis, a performance metric each minute."""
