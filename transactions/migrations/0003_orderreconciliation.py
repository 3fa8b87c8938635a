import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('transactions', '0002_callbacks'),
    ]

    operations = [
        migrations.CreateModel(
            name='OrderReconciliation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('seconds', models.FloatField()),
                ('drifts', models.IntegerField(default=0)),
                ('drift', models.JSONField(default=dict)),
                ('repaired', models.BooleanField(default=False)),
                ('failure', models.TextField(blank=True, default='')),
            ],
        ),
    ]
