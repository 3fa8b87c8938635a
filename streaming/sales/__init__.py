"""Rolling sales: what each StockCode sold in the last 10 minutes, a sum per message, exactly once.

The modules messages, amounts, limits, window, segments, partition and checkpoint are pure: no
Django, no Kafka, no clock.
"""
