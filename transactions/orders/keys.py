"""Names in the Redis of prices and credit. A user's value has its name as key."""

SETTLED = "orders:settled"  # hash: what was decided, by order_id; until Postgres has it for long
SETTLED_AT = "orders:settled:at"  # sorted set: the same orders by time


def beside(user: str) -> str:
    """The hash beside a user's value: what orders took from the credit so far.

    `orders` (number of accepted ones), `taken` (sum of their amounts), `credit` (as the last one
    left it), `given` (what others have added to it since the first one, or taken: negative).
    """
    return f"orders:user:{user}"
