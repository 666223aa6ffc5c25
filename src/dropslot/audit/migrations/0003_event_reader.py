"""Readers of the outbox, with their positions."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("dropslot_audit", "0002_append_only")]

    operations = [
        migrations.CreateModel(
            name="EventReader",
            fields=[
                ("name", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("seq", models.BigIntegerField()),
            ],
            options={"db_table": "dropslot_event_reader"},
        ),
    ]
