"""What Django's models have no words for: how the rows of these tables are stored."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("stocksync", "0001_jobs")]

    operations = [
        # Read in pieces and deleted: without compression a piece is read without the rest.
        migrations.RunSQL(
            "ALTER TABLE stocksync_fileblock ALTER COLUMN data SET STORAGE EXTERNAL",
            "ALTER TABLE stocksync_fileblock ALTER COLUMN data SET STORAGE EXTENDED",
        ),
    ]
