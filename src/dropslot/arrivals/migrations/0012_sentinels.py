from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("dropslot_arrivals", "0011_rank"),
    ]

    operations = [
        migrations.CreateModel(
            name="Sentinel",
            fields=[
                ("name", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("tree", models.CharField(max_length=10)),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField()),
                ("processes", models.JSONField(default=list)),
                ("late", models.JSONField(default=list)),
            ],
            options={"db_table": "dropslot_sentinel"},
        ),
        migrations.CreateModel(
            name="OpenTrouble",
            fields=[
                ("key", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("trouble", models.CharField(max_length=20)),
                ("about", models.TextField()),
                ("what", models.TextField()),
                ("remedy", models.TextField()),
                ("route", models.CharField(blank=True, max_length=100)),
                ("study", models.TextField(blank=True)),
                ("by", models.CharField(max_length=100)),
                ("began_at", models.DateTimeField()),
            ],
            options={"db_table": "dropslot_trouble", "ordering": ("began_at", "key")},
        ),
    ]
