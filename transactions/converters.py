"""Parts of addresses that only transactions have."""

from django.urls import register_converter

BIGINT = range(-(2**63), 2**63)


class WholeNumberConverter:
    """The id of a provider: others choose it, and it may be negative."""

    regex = "-?[0-9]{1,19}"

    def to_python(self, value: str) -> int:
        if int(value) not in BIGINT:
            raise ValueError("no bigint")
        return int(value)

    def to_url(self, value: int) -> str:
        return str(value)


register_converter(WholeNumberConverter, "wholenumber")
