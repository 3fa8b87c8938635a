"""Indexes of the list: its orders and filters, and the words of searches.

Built beside reads and writes, so that a large catalogue stays in use meanwhile.
"""

import django.db.models.functions.text
from django.contrib.postgres.operations import (
    AddIndexConcurrently,
    BtreeGinExtension,
    TrigramExtension,
)
from django.db import migrations, models
from django.db.models import F


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("products", "0003_catalogue")]

    operations = [
        TrigramExtension(),
        BtreeGinExtension(),
        AddIndexConcurrently(
            "product", models.Index(F("active"), F("id"), name="products_product_by_id")
        ),
        AddIndexConcurrently(
            "product",
            models.Index(
                F("active"),
                django.db.models.functions.text.Lower("sku"),
                name="products_product_by_sku",
            ),
        ),
        AddIndexConcurrently(
            "product",
            models.Index(
                F("active"),
                django.db.models.functions.text.Lower("name"),
                F("id"),
                name="products_product_by_name",
            ),
        ),
        # As in products/catalogue/search_index.py. Imports drop it and build it again.
        migrations.RunSQL(
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS products_product_search ON products_product"
            " USING gin (lower((((sku)::text || E'\\n' || (name)::text) || E'\\n') || description)"
            " gin_trgm_ops, (id >> 14), (id >> 11), active) WITH (gin_pending_list_limit = 1024)",
            "DROP INDEX IF EXISTS products_product_search",
        ),
        migrations.RunSQL(
            "ALTER INDEX products_product_search ALTER COLUMN 1 SET STATISTICS 400",
            migrations.RunSQL.noop,
        ),
    ]
