"""StockCodes of a partition whose keys murmur2 puts into another one. Pure; used by partition.py.

Producers with different partitioners put one key into two partitions, and neither sees the other:
this is what one of them can see.
"""

from streaming.kafka_log.partitions import partition_of

from .messages import shown


class Strays:
    """Those of one partition, of `partitions`, as far as they are in memory."""

    def __init__(self, partition: int = 0, partitions: int = 1) -> None:
        self._partition, self._partitions = partition, partitions
        self._keys: dict[str, bytes] = {}  # by StockCode
        self._told = False

    def look(self, stock_code: str, key: bytes) -> None:
        """A StockCode was met under this key for the first time."""
        if partition_of(key, self._partitions) != self._partition:
            self._keys[stock_code] = key
        else:
            self._keys.pop(stock_code, None)

    def forget(self, stock_code: str) -> None:
        """It is no longer in memory."""
        self._keys.pop(stock_code, None)

    def recount(self, partitions: int) -> None:
        """The topic has so many partitions now."""
        if partitions != self._partitions:
            self._partitions = partitions
            keys, self._keys = self._keys, {}
            for stock_code, key in keys.items():
                self.look(stock_code, key)

    def notice(self) -> str:
        """What an operator should know, "" where there are none."""
        if not self._keys:
            return ""
        code, key = next(iter(self._keys.items()))
        return (
            "murmur2, as producers in Java and kafka-python use it, puts keys of StockCodes here "
            f"({len(self._keys)}) elsewhere: {shown(code)} has the key "
            f"{shown(key[:160].decode(errors='backslashreplace'))}, which belongs into partition "
            f"{partition_of(key, self._partitions)}. If some producers use murmur2 and others do "
            "not, StockCodes are in two partitions, with two sums, both short: give all the same "
            "partitioner (librdkafka: partitioner=murmur2_random), and copy what is there with "
            "manage.py rekey_sales. If all use the same other one, the sums are right; after "
            "partitions were added, it passes within window + lateness"
        )

    def news(self) -> str:
        """The notice, the first time that there is one."""
        notice = "" if self._told else self.notice()
        self._told = self._told or bool(notice)
        return notice
