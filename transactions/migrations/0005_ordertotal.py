import transactions.models.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('transactions', '0004_request_id'),
    ]

    operations = [
        migrations.CreateModel(
            name='OrderTotal',
            fields=[
                ('user', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('orders', models.BigIntegerField()),
                ('taken', transactions.models.fields.ExactNumberField()),
            ],
        ),
    ]
