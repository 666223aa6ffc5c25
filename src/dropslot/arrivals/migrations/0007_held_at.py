from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("dropslot_arrivals", "0006_search"),
    ]

    operations = [
        migrations.AddField(
            model_name="arrival",
            name="held_at",
            field=models.DateTimeField(null=True),
        ),
    ]
