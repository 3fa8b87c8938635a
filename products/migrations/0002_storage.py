"""What the ORM has no words for: how the rows of these tables are stored."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("products", "0001_initial")]

    operations = [
        # Room in each page for new versions of its rows: a re-import that changes
        # 5 % of them writes half the WAL.
        migrations.RunSQL(
            "ALTER TABLE products_product SET (fillfactor = 70)",
            "ALTER TABLE products_product RESET (fillfactor)",
        ),
        # Uploaded bytes are read once and deleted: compressing them is wasted work.
        migrations.RunSQL(
            "ALTER TABLE products_uploadblock ALTER COLUMN data SET STORAGE EXTERNAL",
            "ALTER TABLE products_uploadblock ALTER COLUMN data SET STORAGE EXTENDED",
        ),
        # Unlogged like the staging tables: after a database crash both are empty,
        # so a part counts as staged exactly when its marker is here. Part -1 marks
        # that the losing lines of duplicates were found.
        migrations.RunSQL(
            "CREATE UNLOGGED TABLE products_stagedpart ("
            " job_id bigint NOT NULL, part integer NOT NULL, PRIMARY KEY (job_id, part))",
            "DROP TABLE products_stagedpart",
        ),
    ]
