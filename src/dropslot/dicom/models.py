"""Patients, studies, series and instances as their files' headers tell, and what receiving and de-identification keep.

Each route has its own: who may see a route's arrivals may see its images. On a route that de-identifies, these are the
values that were delivered, not those that were sent.
"""

from __future__ import annotations

from django.db import models

from dropslot.arrivals.models import Arrival, Place


class Patient(models.Model):
    """One patient of a route, by PatientID and its issuer."""

    route = models.CharField(max_length=100)
    patient_id = models.CharField(max_length=200, blank=True)
    issuer = models.CharField(max_length=200, blank=True)  # IssuerOfPatientID
    name = models.CharField(max_length=400, blank=True)
    birth_date = models.CharField(max_length=20, blank=True)  # as DICOM writes dates: 20261129
    sex = models.CharField(max_length=20, blank=True)

    class Meta:
        db_table = "dropslot_dicom_patient"
        constraints = (
            models.UniqueConstraint(
                fields=["route", "patient_id", "issuer"], name="dropslot_dicom_patient_once"
            ),
        )


class Counted(models.Model):
    """What of an instance counts for the completeness of its series."""

    acquisition = models.CharField(max_length=20, blank=True)  # AcquisitionNumber
    frames = models.IntegerField(default=1)
    stated = models.IntegerField(null=True)  # images in its acquisition, as its header says
    is_whole = models.BooleanField(default=True)
    position = models.FloatField(null=True)  # along the normal of its image plane, in mm
    plane = models.CharField(max_length=16, blank=True)  # a hash: those of one plane and time have the same

    class Meta:
        abstract = True


class Study(models.Model):
    """One study of a patient."""

    patient = models.ForeignKey(Patient, models.PROTECT, related_name="studies")
    route = models.CharField(max_length=100)
    study_uid = models.CharField(max_length=200)
    study_id = models.CharField(max_length=200, blank=True)
    accession_number = models.CharField(max_length=200, blank=True)
    description = models.CharField(max_length=400, blank=True)
    date = models.CharField(max_length=20, blank=True)
    time = models.CharField(max_length=30, blank=True)
    modalities = models.CharField(max_length=200, blank=True)  # of its series: CT, SR
    received_at = models.DateTimeField()  # the newest arrival

    class Meta:
        db_table = "dropslot_dicom_study"
        constraints = (
            models.UniqueConstraint(fields=["route", "study_uid"], name="dropslot_dicom_study_once"),
        )
        indexes = (
            models.Index(fields=["route", "accession_number"], name="dropslot_dicom_study_acc"),
            models.Index(fields=["date"], name="dropslot_dicom_study_date"),
            models.Index(fields=["received_at"], name="dropslot_dicom_study_received"),
        )


class Series(models.Model):
    """One series of a study, with the verdict on its completeness."""

    study = models.ForeignKey(Study, models.PROTECT, related_name="series")
    route = models.CharField(max_length=100)
    series_uid = models.CharField(max_length=200)  # series_NAME if the files have none
    is_named_for_folder = models.BooleanField(
        default=False
    )  # its UID, or its study's, stands in for a missing one
    number = models.CharField(max_length=20, blank=True)
    modality = models.CharField(max_length=20, blank=True)
    description = models.CharField(max_length=400, blank=True)
    body_part = models.CharField(max_length=100, blank=True)
    protocol = models.CharField(max_length=400, blank=True)
    manufacturer = models.CharField(max_length=200, blank=True)
    model = models.CharField(max_length=200, blank=True)
    station = models.CharField(max_length=100, blank=True)
    instances = models.IntegerField(default=0)  # without further versions
    size_bytes = models.BigIntegerField(default=0)
    revision = models.IntegerField(default=1)  # counts the arrivals that added or changed instances
    verdict = models.CharField(max_length=10)  # VERIFIED, CONSISTENT, UNKNOWN or INCOMPLETE
    evidence = models.JSONField(default=list)  # sentences
    patients = models.JSONField(
        default=list
    )  # of all its instances: [[PatientID, issuer], …], more than one if mixed
    studies = models.JSONField(default=list)  # likewise their StudyInstanceUIDs
    arrival = models.ForeignKey(Arrival, models.PROTECT, related_name="+")  # the newest one
    received_at = models.DateTimeField()  # of that arrival

    class Meta:
        db_table = "dropslot_dicom_series"
        constraints = (
            models.UniqueConstraint(fields=["study", "series_uid"], name="dropslot_dicom_series_once"),
        )
        indexes = (
            models.Index(fields=["route", "series_uid"], name="dropslot_dicom_series_uid"),
            models.Index(fields=["modality"], name="dropslot_dicom_series_modality"),
            models.Index(fields=["received_at", "id"], name="dropslot_dicom_series_received"),
            models.Index(fields=["verdict"], name="dropslot_dicom_series_verdict"),
        )


class Contribution(models.Model):
    """An arrival with images of a series: who may see the arrival may see the series, if images were added."""

    series = models.ForeignKey(Series, models.PROTECT, related_name="contributions", db_index=False)
    arrival = models.ForeignKey(Arrival, models.PROTECT, related_name="+")
    instances = models.IntegerField()  # in the arrival
    added = models.IntegerField()  # those that were not known before

    class Meta:
        db_table = "dropslot_dicom_contribution"
        constraints = (
            models.UniqueConstraint(fields=["series", "arrival"], name="dropslot_dicom_contribution_once"),
        )


class Placement(models.Model):
    """Where images of a series that an arrival added were delivered: recipients see by it what came into their folders.
    `is_whole`: all of these images went there."""

    series = models.ForeignKey(Series, models.PROTECT, related_name="+", db_index=False)
    arrival = models.ForeignKey(Arrival, models.PROTECT, related_name="+")
    place = models.ForeignKey(Place, models.PROTECT, related_name="+")
    is_whole = models.BooleanField()

    class Meta:
        db_table = "dropslot_dicom_placement"
        constraints = (
            models.UniqueConstraint(
                fields=["series", "arrival", "place"], name="dropslot_dicom_placement_once"
            ),
        )


class Instance(Counted):
    """One SOP instance of a series, in one version. `arrival` and `item` find its deliveries."""

    series = models.ForeignKey(Series, models.PROTECT, related_name="+", db_index=False)
    sop_uid = models.CharField(max_length=200)
    version = models.IntegerField(default=1)  # other bytes under the same SOPInstanceUID: 2, 3, …
    sop_class = models.CharField(max_length=80, blank=True)
    transfer_syntax = models.CharField(max_length=80, blank=True)
    number = models.CharField(max_length=20, blank=True)  # InstanceNumber
    rows = models.IntegerField(null=True)
    columns = models.IntegerField(null=True)
    sha256 = models.CharField(max_length=64)  # of what was delivered
    size_bytes = models.BigIntegerField()
    arrival = models.ForeignKey(Arrival, models.PROTECT, related_name="+", db_index=False)
    item = models.TextField()  # path inside the arrival, as in its deliveries

    class Meta:
        db_table = "dropslot_dicom_instance"
        constraints = (
            models.UniqueConstraint(
                fields=["series", "sop_uid", "version"], name="dropslot_dicom_instance_once"
            ),
        )
        indexes = (
            models.Index(fields=["sop_uid"], name="dropslot_dicom_instance_uid"),
            models.Index(fields=["arrival", "item"], name="dropslot_dicom_instance_item"),
            models.Index(fields=["series", "id"], name="dropslot_dicom_instance_order"),
        )


class Expected(models.Model):
    """What an archive said that a series consists of, when it was asked: a series with exactly these instances is
    VERIFIED."""

    route = models.CharField(max_length=100)
    series_uid = models.CharField(max_length=200)
    sop_uids = models.JSONField()  # a list, sorted
    source = models.CharField(max_length=300)  # who said it: AET@HOST:PORT by C-FIND
    at = models.DateTimeField()

    class Meta:
        db_table = "dropslot_dicom_expected"
        constraints = (
            models.UniqueConstraint(fields=["route", "series_uid"], name="dropslot_dicom_expected_once"),
        )


class Awaited(Counted):
    """An instance in an arrival that waits for the rest of its series, or that is delivered because of others that
    wait. Others of the series count it, until it is recorded."""

    arrival = models.ForeignKey(Arrival, models.PROTECT, related_name="+")
    route = models.CharField(max_length=100)
    series_uid = models.CharField(max_length=200)
    sop_uid = models.CharField(max_length=200)
    patient_id = models.CharField(max_length=200, blank=True)
    issuer = models.CharField(max_length=200, blank=True)
    study_uid = models.CharField(max_length=200)

    class Meta:
        db_table = "dropslot_dicom_awaited"
        indexes = (models.Index(fields=["route", "series_uid"], name="dropslot_dicom_awaited_series"),)


class Outgoing(models.Model):
    """An instance that an arrival is about to send to a node or service, or has sent in part: from its intent until it
    is recorded. Others that have other bytes of it wait until then, and are judged by the record."""

    arrival = models.ForeignKey(Arrival, models.PROTECT, related_name="+")
    receiver = models.TextField()  # the address of the node or service
    sop_uid = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)

    class Meta:
        db_table = "dropslot_dicom_outgoing"
        indexes = (models.Index(fields=["sop_uid"], name="dropslot_dicom_outgoing_uid"),)


class Commitment(models.Model):
    """A request for storage commitment, which is answered when its instances are done."""

    transaction_uid = models.CharField(max_length=80)
    route = models.CharField(max_length=100)
    calling_aet = models.CharField(max_length=16)
    host = models.CharField(max_length=255)  # where the answer goes
    port = models.IntegerField()
    instances = models.JSONField()  # [[SOPClassUID, SOPInstanceUID], …]
    asked_at = models.DateTimeField()
    attempts = models.IntegerField(default=0)
    due_at = models.DateTimeField(null=True)  # of the next attempt to answer; null: answered, or given up
    answered_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        db_table = "dropslot_dicom_commitment"
        constraints = (
            models.UniqueConstraint(
                fields=["route", "calling_aet", "transaction_uid"], name="dropslot_dicom_commitment_once"
            ),
        )
        indexes = (
            models.Index(
                fields=["due_at"],
                name="dropslot_dicom_commitment_due",
                condition=models.Q(due_at__isnull=False),
            ),
        )


class Pseudonym(models.Model):
    """One value that de-identification replaced. The original is encrypted; `dropslot reidentify` opens it."""

    route = models.CharField(max_length=100)
    kind = models.CharField(max_length=20)  # patient, uid, accession, …
    original_mac = models.CharField(max_length=64)  # keyed hash of the original: finds it without telling it
    replacement = models.CharField(max_length=200)
    sealed = models.BinaryField()  # the original, encrypted
    arrival = models.ForeignKey(Arrival, models.PROTECT, related_name="+")  # the first one
    at = models.DateTimeField()

    class Meta:
        db_table = "dropslot_dicom_pseudonym"
        constraints = (
            models.UniqueConstraint(
                fields=["route", "kind", "original_mac"], name="dropslot_dicom_pseudonym_once"
            ),
        )
        indexes = (models.Index(fields=["route", "kind", "replacement"], name="dropslot_dicom_pseudonym_of"),)
