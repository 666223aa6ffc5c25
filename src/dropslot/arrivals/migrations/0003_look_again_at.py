from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("dropslot_arrivals", "0002_dropped_at")]

    operations = [
        migrations.AddField("arrival", "look_again_at", models.DateTimeField(null=True)),
        migrations.AddIndex(
            "arrival",
            models.Index(
                fields=["look_again_at"],
                name="dropslot_arrival_look",
                condition=models.Q(look_again_at__isnull=False),
            ),
        ),
    ]
