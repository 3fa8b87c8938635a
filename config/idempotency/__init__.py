"""`Idempotency-Key`: a request that is repeated after a lost answer acts once."""
