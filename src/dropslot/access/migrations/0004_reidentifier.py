from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("dropslot_access", "0003_directory_accounts"),
    ]

    operations = [
        migrations.AlterField(
            model_name="grant",
            name="role",
            field=models.CharField(
                choices=[
                    ("sender", "sender"),
                    ("operator", "operator"),
                    ("auditor", "auditor"),
                    ("recipient", "recipient"),
                    ("study-runner", "study-runner"),
                    ("administrator", "administrator"),
                    ("reidentifier", "reidentifier"),
                ],
                max_length=20,
            ),
        ),
    ]
