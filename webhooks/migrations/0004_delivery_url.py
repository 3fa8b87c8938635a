from django.db import migrations, models


class Migration(migrations.Migration):
    # Of its own: the engine goes on meanwhile, and one transaction that locks several of its
    # tables could deadlock with it. A constant default does not rewrite the table.

    dependencies = [
        ('webhooks', '0003_callbacks'),
    ]

    operations = [
        migrations.AddField(
            model_name='delivery',
            name='url',
            field=models.CharField(blank=True, db_default='', default='', max_length=2000),
        ),
    ]
