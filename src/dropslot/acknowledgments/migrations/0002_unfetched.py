from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("dropslot_acknowledgments", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="Unfetched",
            fields=[
                ("delivery", models.BigIntegerField(primary_key=True, serialize=False)),
                ("route", models.CharField(max_length=100)),
            ],
            options={"db_table": "dropslot_unfetched"},
        ),
        migrations.AddIndex(
            "unfetched",
            models.Index(fields=["route", "delivery"], name="dropslot_unfetched_route"),
        ),
    ]
