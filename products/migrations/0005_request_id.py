from django.db import migrations, models

import config.request_log


class Migration(migrations.Migration):
    # Each table for itself, so that two locks can't deadlock. A constant default rewrites none.
    atomic = False

    dependencies = [('products', '0004_search')]

    operations = [
        migrations.AddField(
            model_name='bulkchange',
            name='request_id',
            field=models.CharField(
                blank=True, db_default='', default=config.request_log.current, editable=False, max_length=100
            ),
        ),
        migrations.AddField(
            model_name='import',
            name='request_id',
            field=models.CharField(
                blank=True, db_default='', default=config.request_log.current, editable=False, max_length=100
            ),
        ),
    ]
