"""Statements that are left out where a lock is not to be had soon."""

import pytest
from django.db import OperationalError, connection, transaction

from products import lock_waits
from products.models import Product

pytestmark = pytest.mark.django_db(transaction=True)

WRITE = "UPDATE products_product SET name = 'new'"


def lock_timeout() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout')")
        return cursor.fetchone()[0]


def test_the_transaction_around_it_goes_on_with_its_own_patience(other):
    Product.objects.create(sku="A", name="old")
    with other.cursor() as cursor:
        cursor.execute("LOCK TABLE products_product IN SHARE MODE")
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '7s'")
        assert lock_waits.run_within(50, WRITE) is False
        assert lock_timeout() == "7s"
        other.rollback()
        assert lock_waits.run_within(50, WRITE) is True
        assert lock_timeout() == "7s"
    assert Product.objects.get().name == "new"


def test_other_errors_are_raised():
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40001'; END $$"
        )
        cursor.execute(
            "CREATE TRIGGER refuse BEFORE UPDATE ON products_product"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse()"
        )
    try:
        with pytest.raises(OperationalError):
            lock_waits.run_within(50, WRITE)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION refuse CASCADE")
