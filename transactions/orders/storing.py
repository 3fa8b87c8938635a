"""Inserts an order: one statement made once, which also finds where its result is wanted."""

from typing import Any

from django.db import connection

from transactions.models import CallbackUrl, Order

# By hand: the ORM takes as long to make it as PostgreSQL to run it. The default address is the one
# for this trading user, else the one for all; nearly all orders find none.
STORE = f"""
INSERT INTO {Order._meta.db_table} (
    order_id, "user", stockname, quantity, status, reason, detail,
    price, amount, credit_before, credit_after,
    decided_at, verifications, claim, created_by_id, request_id, callback_url
) VALUES (
    %(order_id)s, %(user)s, %(stockname)s, %(quantity)s, %(status)s, %(reason)s, %(detail)s,
    %(price)s, %(amount)s, %(credit_before)s, %(credit_after)s,
    CASE WHEN NOT %(is_open)s THEN statement_timestamp() END, 0, 0,
    %(created_by_id)s, %(request_id)s,
    CASE WHEN %(is_open)s THEN coalesce(nullif(%(callback_url)s, ''), (
        SELECT url FROM {CallbackUrl._meta.db_table}
        WHERE owner_id = %(created_by_id)s AND "user" IN ('', %(user)s) ORDER BY "user" DESC LIMIT 1
    ), '') ELSE '' END
) RETURNING id, received_at, decided_at, callback_url
"""

ATTRIBUTES = (
    *("order_id", "user", "stockname", "quantity", "status", "reason", "detail", "price", "amount"),
    *("credit_before", "credit_after", "is_open", "created_by_id", "request_id", "callback_url"),
)


def store(order: Order) -> None:
    """Insert the new `order`, open or decided, and set what the database says of it.

    An open one without a callback_url gets the default of `created_by` for its user, if there is
    one; what is decided at once is not called back.
    """
    values: dict[str, Any] = {name: getattr(order, name) for name in ATTRIBUTES}
    with connection.cursor() as cursor:
        cursor.execute(STORE, values)
        order.pk, order.received_at, order.decided_at, order.callback_url = cursor.fetchone()
    order._state.adding, order._state.db = False, connection.alias
