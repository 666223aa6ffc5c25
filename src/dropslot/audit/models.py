"""The audit trail: append-only, hash-chained."""

from __future__ import annotations

from django.db import models


class Event(models.Model):
    """One entry of the audit trail. `hash` = SHA-256(previous hash + canonical JSON of the entry)."""

    seq = models.BigIntegerField(primary_key=True)
    at = models.CharField(max_length=27)  # UTC, ISO 8601 with Z, microseconds: the very text that was hashed
    kind = models.CharField(max_length=40)
    arrival = models.CharField(max_length=26, blank=True)
    data = models.TextField()  # canonical JSON: sorted keys, no blanks, UTF-8
    hash = models.CharField(max_length=64)

    class Meta:
        db_table = "dropslot_event"
        ordering = ("seq",)
        indexes = (models.Index(fields=["arrival", "seq"], name="dropslot_event_arrival"),)


class Receipt(models.Model):
    """The signed summary of a finished arrival. `signature` is an SSH signature (armored) over `body`."""

    arrival = models.CharField(max_length=26, primary_key=True)
    body = models.TextField()
    signature = models.TextField()

    class Meta:
        db_table = "dropslot_receipt"


class EventReader(models.Model):
    """A reader of events, and the `seq` up to which it has read; see `outbox`."""

    name = models.CharField(max_length=100, primary_key=True)
    seq = models.BigIntegerField()

    class Meta:
        db_table = "dropslot_event_reader"
