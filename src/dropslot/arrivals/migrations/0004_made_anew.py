from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("dropslot_arrivals", "0003_look_again_at")]

    operations = [
        migrations.AddField(
            "delivery", "source_item", models.TextField(blank=True, default="", db_default="")
        ),
        migrations.AddField(
            "delivery",
            "source_sha256",
            models.CharField(max_length=64, blank=True, default="", db_default=""),
        ),
    ]
