import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("dropslot_arrivals", "0006_search"),
    ]

    operations = [
        migrations.CreateModel(
            name="Commitment",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("transaction_uid", models.CharField(max_length=80)),
                ("route", models.CharField(max_length=100)),
                ("calling_aet", models.CharField(max_length=16)),
                ("host", models.CharField(max_length=255)),
                ("port", models.IntegerField()),
                ("instances", models.JSONField()),
                ("asked_at", models.DateTimeField()),
                ("attempts", models.IntegerField(default=0)),
                ("due_at", models.DateTimeField(null=True)),
                ("answered_at", models.DateTimeField(null=True)),
                ("error", models.TextField(blank=True)),
            ],
            options={
                "db_table": "dropslot_dicom_commitment",
                "indexes": [
                    models.Index(
                        condition=models.Q(("due_at__isnull", False)),
                        fields=["due_at"],
                        name="dropslot_dicom_commitment_due",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("route", "calling_aet", "transaction_uid"),
                        name="dropslot_dicom_commitment_once",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Expected",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("route", models.CharField(max_length=100)),
                ("series_uid", models.CharField(max_length=200)),
                ("sop_uids", models.JSONField()),
                ("source", models.CharField(max_length=300)),
                ("at", models.DateTimeField()),
            ],
            options={
                "db_table": "dropslot_dicom_expected",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("route", "series_uid"), name="dropslot_dicom_expected_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Patient",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("route", models.CharField(max_length=100)),
                ("patient_id", models.CharField(blank=True, max_length=200)),
                ("issuer", models.CharField(blank=True, max_length=200)),
                ("name", models.CharField(blank=True, max_length=400)),
                ("birth_date", models.CharField(blank=True, max_length=20)),
                ("sex", models.CharField(blank=True, max_length=20)),
            ],
            options={
                "db_table": "dropslot_dicom_patient",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("route", "patient_id", "issuer"), name="dropslot_dicom_patient_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Study",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("route", models.CharField(max_length=100)),
                ("study_uid", models.CharField(max_length=200)),
                ("study_id", models.CharField(blank=True, max_length=200)),
                ("accession_number", models.CharField(blank=True, max_length=200)),
                ("description", models.CharField(blank=True, max_length=400)),
                ("date", models.CharField(blank=True, max_length=20)),
                ("time", models.CharField(blank=True, max_length=30)),
                ("modalities", models.CharField(blank=True, max_length=200)),
                ("received_at", models.DateTimeField()),
                (
                    "patient",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="studies",
                        to="dropslot_dicom.patient",
                    ),
                ),
            ],
            options={
                "db_table": "dropslot_dicom_study",
            },
        ),
        migrations.CreateModel(
            name="Series",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("route", models.CharField(max_length=100)),
                ("series_uid", models.CharField(max_length=200)),
                ("is_named_for_folder", models.BooleanField(default=False)),
                ("number", models.CharField(blank=True, max_length=20)),
                ("modality", models.CharField(blank=True, max_length=20)),
                ("description", models.CharField(blank=True, max_length=400)),
                ("body_part", models.CharField(blank=True, max_length=100)),
                ("protocol", models.CharField(blank=True, max_length=400)),
                ("manufacturer", models.CharField(blank=True, max_length=200)),
                ("model", models.CharField(blank=True, max_length=200)),
                ("station", models.CharField(blank=True, max_length=100)),
                ("instances", models.IntegerField(default=0)),
                ("size_bytes", models.BigIntegerField(default=0)),
                ("revision", models.IntegerField(default=1)),
                ("verdict", models.CharField(max_length=10)),
                ("evidence", models.JSONField(default=list)),
                ("patients", models.JSONField(default=list)),
                ("studies", models.JSONField(default=list)),
                ("received_at", models.DateTimeField()),
                (
                    "arrival",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="dropslot_arrivals.arrival",
                    ),
                ),
                (
                    "study",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="series",
                        to="dropslot_dicom.study",
                    ),
                ),
            ],
            options={
                "db_table": "dropslot_dicom_series",
            },
        ),
        migrations.CreateModel(
            name="Awaited",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("route", models.CharField(max_length=100)),
                ("series_uid", models.CharField(max_length=200)),
                ("sop_uid", models.CharField(max_length=200)),
                ("patient_id", models.CharField(blank=True, max_length=200)),
                ("issuer", models.CharField(blank=True, max_length=200)),
                ("study_uid", models.CharField(max_length=200)),
                ("acquisition", models.CharField(blank=True, max_length=20)),
                ("frames", models.IntegerField(default=1)),
                ("stated", models.IntegerField(null=True)),
                ("is_whole", models.BooleanField(default=True)),
                ("position", models.FloatField(null=True)),
                ("plane", models.CharField(blank=True, max_length=16)),
                (
                    "arrival",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="dropslot_arrivals.arrival",
                    ),
                ),
            ],
            options={
                "db_table": "dropslot_dicom_awaited",
                "indexes": [
                    models.Index(fields=["route", "series_uid"], name="dropslot_dicom_awaited_series")
                ],
            },
        ),
        migrations.CreateModel(
            name="Pseudonym",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("route", models.CharField(max_length=100)),
                ("kind", models.CharField(max_length=20)),
                ("original_mac", models.CharField(max_length=64)),
                ("replacement", models.CharField(max_length=200)),
                ("sealed", models.BinaryField()),
                ("at", models.DateTimeField()),
                (
                    "arrival",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="dropslot_arrivals.arrival",
                    ),
                ),
            ],
            options={
                "db_table": "dropslot_dicom_pseudonym",
                "indexes": [
                    models.Index(fields=["route", "kind", "replacement"], name="dropslot_dicom_pseudonym_of")
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("route", "kind", "original_mac"), name="dropslot_dicom_pseudonym_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Contribution",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("instances", models.IntegerField()),
                ("added", models.IntegerField()),
                (
                    "arrival",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="dropslot_arrivals.arrival",
                    ),
                ),
                (
                    "series",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="contributions",
                        to="dropslot_dicom.series",
                    ),
                ),
            ],
            options={
                "db_table": "dropslot_dicom_contribution",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("series", "arrival"), name="dropslot_dicom_contribution_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Placement",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("is_whole", models.BooleanField()),
                (
                    "arrival",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="dropslot_arrivals.arrival",
                    ),
                ),
                (
                    "place",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="dropslot_arrivals.place",
                    ),
                ),
                (
                    "series",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="dropslot_dicom.series",
                    ),
                ),
            ],
            options={
                "db_table": "dropslot_dicom_placement",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("series", "arrival", "place"), name="dropslot_dicom_placement_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Instance",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("sop_uid", models.CharField(max_length=200)),
                ("version", models.IntegerField(default=1)),
                ("sop_class", models.CharField(blank=True, max_length=80)),
                ("transfer_syntax", models.CharField(blank=True, max_length=80)),
                ("number", models.CharField(blank=True, max_length=20)),
                ("acquisition", models.CharField(blank=True, max_length=20)),
                ("frames", models.IntegerField(default=1)),
                ("stated", models.IntegerField(null=True)),
                ("is_whole", models.BooleanField(default=True)),
                ("position", models.FloatField(null=True)),
                ("plane", models.CharField(blank=True, max_length=16)),
                ("rows", models.IntegerField(null=True)),
                ("columns", models.IntegerField(null=True)),
                ("sha256", models.CharField(max_length=64)),
                ("size_bytes", models.BigIntegerField()),
                ("item", models.TextField()),
                (
                    "arrival",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="dropslot_arrivals.arrival",
                    ),
                ),
                (
                    "series",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="dropslot_dicom.series",
                    ),
                ),
            ],
            options={
                "db_table": "dropslot_dicom_instance",
                "indexes": [
                    models.Index(fields=["sop_uid"], name="dropslot_dicom_instance_uid"),
                    models.Index(fields=["arrival", "item"], name="dropslot_dicom_instance_item"),
                    models.Index(fields=["series", "id"], name="dropslot_dicom_instance_order"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("series", "sop_uid", "version"), name="dropslot_dicom_instance_once"
                    )
                ],
            },
        ),
        migrations.AddIndex(
            model_name="study",
            index=models.Index(fields=["route", "accession_number"], name="dropslot_dicom_study_acc"),
        ),
        migrations.AddIndex(
            model_name="study",
            index=models.Index(fields=["date"], name="dropslot_dicom_study_date"),
        ),
        migrations.AddIndex(
            model_name="study",
            index=models.Index(fields=["received_at"], name="dropslot_dicom_study_received"),
        ),
        migrations.AddConstraint(
            model_name="study",
            constraint=models.UniqueConstraint(
                fields=("route", "study_uid"), name="dropslot_dicom_study_once"
            ),
        ),
        migrations.AddIndex(
            model_name="series",
            index=models.Index(fields=["route", "series_uid"], name="dropslot_dicom_series_uid"),
        ),
        migrations.AddIndex(
            model_name="series",
            index=models.Index(fields=["modality"], name="dropslot_dicom_series_modality"),
        ),
        migrations.AddIndex(
            model_name="series",
            index=models.Index(fields=["received_at", "id"], name="dropslot_dicom_series_received"),
        ),
        migrations.AddIndex(
            model_name="series",
            index=models.Index(fields=["verdict"], name="dropslot_dicom_series_verdict"),
        ),
        migrations.AddConstraint(
            model_name="series",
            constraint=models.UniqueConstraint(
                fields=("study", "series_uid"), name="dropslot_dicom_series_once"
            ),
        ),
    ]
