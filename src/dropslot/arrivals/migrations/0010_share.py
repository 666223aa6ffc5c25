import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("dropslot_arrivals", "0009_duties"),
    ]

    operations = [
        migrations.CreateModel(
            name="Share",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("epoch", models.IntegerField()),
                ("number", models.IntegerField()),
                ("route", models.CharField(max_length=100)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "open"),
                            ("taken", "taken"),
                            ("staged", "staged"),
                            ("given-up", "given-up"),
                        ],
                        max_length=10,
                    ),
                ),
                ("task", models.BinaryField()),
                ("worker", models.CharField(blank=True, max_length=100)),
                ("lease_until", models.DateTimeField(null=True)),
                ("digests", models.BinaryField(null=True)),
                ("unleased", models.IntegerField(default=0)),
                ("synced", models.BooleanField(default=True)),
                (
                    "arrival",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="dropslot_arrivals.arrival",
                    ),
                ),
            ],
            options={
                "db_table": "dropslot_share",
                "indexes": [models.Index(fields=["state", "arrival", "number"], name="dropslot_share_open")],
                "constraints": [
                    models.UniqueConstraint(fields=("arrival", "epoch", "number"), name="dropslot_share_once")
                ],
            },
        ),
    ]
