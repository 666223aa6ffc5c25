from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("dropslot_arrivals", "0008_receipt_copy"),
    ]

    operations = [
        migrations.CreateModel(
            name="Candidate",
            fields=[
                ("name", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("role", models.CharField(max_length=20)),
                ("wants", models.JSONField(default=list)),
                ("version", models.CharField(max_length=40)),
                ("until", models.DateTimeField()),
            ],
            options={"db_table": "dropslot_candidate"},
        ),
        migrations.CreateModel(
            name="Duty",
            fields=[
                ("name", models.TextField(primary_key=True, serialize=False)),
                ("holder", models.CharField(blank=True, max_length=100)),
                ("since", models.DateTimeField()),
                ("term", models.IntegerField(default=0)),
            ],
            options={"db_table": "dropslot_duty"},
        ),
        migrations.CreateModel(
            name="Installation",
            fields=[
                ("only", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("id", models.CharField(max_length=26)),
            ],
            options={"db_table": "dropslot_installation"},
        ),
    ]
