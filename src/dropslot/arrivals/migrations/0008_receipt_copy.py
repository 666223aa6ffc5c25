import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [
        ("dropslot_arrivals", "0007_held_at"),
    ]

    operations = [
        migrations.CreateModel(
            name="ReceiptCopy",
            fields=[
                (
                    "arrival",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        serialize=False,
                        to="dropslot_arrivals.arrival",
                    ),
                ),
                ("seq", models.BigIntegerField()),
                ("attempts", models.IntegerField(default=0)),
                ("due_at", models.DateTimeField(null=True)),
                ("error", models.TextField(blank=True)),
            ],
            options={
                "db_table": "dropslot_receipt_copy",
                "indexes": [
                    models.Index(
                        condition=Q(("due_at__isnull", False)),
                        fields=["due_at"],
                        name="dropslot_receipt_due",
                    )
                ],
            },
        ),
    ]
