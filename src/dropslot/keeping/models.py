"""How far the reading of stored files is, what it found damaged, which arrivals are under a legal hold, and which
originals could not be removed yet."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from dropslot.arrivals.models import Arrival, Delivery


class FixityRound(models.Model):
    """One reading of every stored file, in the order of the deliveries' ids. `after` is the last one that was read."""

    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    after = models.BigIntegerField(default=0)
    files = models.BigIntegerField(default=0)
    size_bytes = models.BigIntegerField(default=0)
    damaged = models.BigIntegerField(default=0)  # as files were found, whatever became of them
    unread = models.BigIntegerField(default=0)  # at its end: their destination never answered
    put_off = models.JSONField(default=dict)  # by place that did not answer: which ids are to be read later
    outcome = models.CharField(max_length=10, blank=True)  # ok or faults, at its end
    said = models.JSONField(default=list)  # the first faults of the trail, the originals and the database

    class Meta:
        db_table = "dropslot_fixity_round"
        ordering = ("id",)


class Damage(models.Model):
    """A stored file that is not as it was delivered. The row goes when it is again. `found` is its SHA-256; empty: it
    is gone, or could not be read."""

    delivery = models.OneToOneField(Delivery, models.PROTECT, primary_key=True, related_name="damage")
    found = models.CharField(max_length=64, blank=True)
    what = models.TextField()
    since = models.DateTimeField()
    # While it is mended, and after a crash meanwhile: the id of the mending, its epoch, where the damaged bytes go.
    mending = models.CharField(max_length=26, blank=True)
    epoch = models.IntegerField(default=0)
    aside = models.TextField(blank=True)
    not_mended = models.TextField(blank=True)  # why not, at the last try
    due_at = models.DateTimeField(null=True)  # of the next try
    accepted_by = models.TextField(blank=True)
    accepted_because = models.TextField(blank=True)

    class Meta:
        db_table = "dropslot_damage"
        indexes = (
            models.Index(fields=["due_at"], name="dropslot_damage_due", condition=Q(due_at__isnull=False)),
        )


class LegalHold(models.Model):
    """An arrival of which nothing is removed until somebody releases it."""

    arrival = models.OneToOneField(Arrival, models.PROTECT, primary_key=True, related_name="legal_hold")
    reason = models.TextField()
    by = models.TextField()
    since = models.DateTimeField()

    class Meta:
        db_table = "dropslot_legal_hold"


class KeptOriginal(models.Model):
    """An original that should have been removed from done, and is kept because something is not proved."""

    arrival = models.OneToOneField(Arrival, models.PROTECT, primary_key=True, related_name="+")
    why = models.TextField()
    attempts = models.IntegerField(default=1)
    due_at = models.DateTimeField()  # of the next try

    class Meta:
        db_table = "dropslot_kept_original"
