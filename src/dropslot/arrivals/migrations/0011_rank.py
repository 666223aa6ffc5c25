from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [
        ("dropslot_arrivals", "0010_share"),
    ]

    operations = [
        migrations.CreateModel(
            name="Lane",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("route", models.CharField(max_length=100)),
                ("sender", models.CharField(max_length=150)),
                ("rank", models.BigIntegerField()),
            ],
            options={
                "db_table": "dropslot_lane",
                "constraints": [
                    models.UniqueConstraint(fields=("route", "sender"), name="dropslot_lane_once"),
                ],
            },
        ),
        # The database's default too: during a rolling upgrade an older watcher records arrivals without a rank.
        migrations.AddField("arrival", "rank", models.BigIntegerField(default=0, db_default=0)),
        migrations.AddIndex(
            "arrival",
            models.Index(
                fields=["route", "rank", "dropped_at", "id"],
                name="dropslot_arrival_rank",
                condition=Q(finished_at__isnull=True, held_at__isnull=True),
            ),
        ),
        migrations.AddIndex(
            "arrival",
            models.Index(
                fields=["name"], name="dropslot_arrival_rival", condition=Q(finished_at__isnull=True)
            ),
        ),
        migrations.AddIndex(
            "arrival",
            models.Index(
                fields=["dropped_at"],
                name="dropslot_arrival_folder",
                condition=Q(finished_at__isnull=True, is_folder=True),
            ),
        ),
    ]
