from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("dropslot_notify", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="DigestPeriod",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.TextField()),
                ("every", models.CharField(max_length=6)),
                ("until", models.DateTimeField()),
            ],
            options={
                "db_table": "dropslot_notify_digest",
                "constraints": [
                    models.UniqueConstraint(fields=("key", "every"), name="dropslot_notify_digest_once")
                ],
            },
        ),
    ]
