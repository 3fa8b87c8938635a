from django.db import migrations, models

import config.request_log


class Migration(migrations.Migration):
    # A constant default does not rewrite the table.

    dependencies = [('webhooks', '0004_delivery_url')]

    operations = [
        migrations.AddField(
            model_name='event',
            name='request_id',
            field=models.CharField(
                blank=True, db_default='', default=config.request_log.current, editable=False, max_length=100
            ),
        ),
    ]
