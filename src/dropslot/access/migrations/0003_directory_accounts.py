import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("dropslot_access", "0002_session_epochs"),
    ]

    operations = [
        migrations.CreateModel(
            name="DirectoryAccount",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="dropslot_directory",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("dn", models.TextField()),
            ],
            options={"db_table": "dropslot_directory_account"},
        ),
    ]
