from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("dropslot_arrivals", "0013_usage"),
    ]

    operations = [
        # The database's default too: a machine with an older version may make the row.
        migrations.AddField(
            "installation", "signer", models.TextField(blank=True, default="", db_default="")
        ),
    ]
