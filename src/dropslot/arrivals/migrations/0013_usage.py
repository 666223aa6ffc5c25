import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("dropslot_arrivals", "0012_sentinels"),
    ]

    operations = [
        migrations.CreateModel(
            name="Usage",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.TextField(unique=True)),
                ("used_bytes", models.BigIntegerField(default=0)),
                ("files", models.BigIntegerField(default=0)),
                ("free_bytes", models.BigIntegerField(null=True)),
                ("free_files", models.BigIntegerField(null=True)),
                ("limited_by", models.TextField(blank=True, db_default="", default="")),
                ("looked_at", models.DateTimeField(null=True)),
                ("daily_bytes", models.BigIntegerField(null=True)),
                ("is_filling", models.BooleanField(db_default=False, default=False)),
            ],
            options={"db_table": "dropslot_usage"},
        ),
        migrations.CreateModel(
            name="UsageSample",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField()),
                ("used_bytes", models.BigIntegerField()),
                (
                    "usage",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="samples",
                        to="dropslot_arrivals.usage",
                    ),
                ),
            ],
            options={
                "db_table": "dropslot_usage_sample",
                "constraints": [
                    models.UniqueConstraint(fields=("usage", "at"), name="dropslot_usage_sample_once")
                ],
            },
        ),
    ]
