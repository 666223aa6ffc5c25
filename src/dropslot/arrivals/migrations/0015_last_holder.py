from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("dropslot_arrivals", "0014_signer"),
    ]

    operations = [
        migrations.AddField("Duty", "last", models.CharField(max_length=100, default="", db_default="")),
    ]
