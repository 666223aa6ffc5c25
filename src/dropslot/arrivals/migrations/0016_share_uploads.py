from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("dropslot_arrivals", "0015_last_holder"),
    ]

    operations = [
        migrations.AddField("Share", "uploads", models.BinaryField(null=True)),
    ]
