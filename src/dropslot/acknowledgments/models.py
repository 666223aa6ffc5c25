"""Acknowledgments, parts of fetches, and how far logs were read."""

from __future__ import annotations

from django.db import models

from dropslot.arrivals.models import Delivery


class Acknowledgment(models.Model):
    """One fetch of a whole delivery by somebody who may acknowledge it. Undone ones stay."""

    id = models.CharField(primary_key=True, max_length=26)  # ULID
    delivery = models.ForeignKey(Delivery, models.PROTECT, related_name="acknowledgments")
    user = models.TextField()  # as the log has it, escaped for people
    address = models.TextField()
    at = models.DateTimeField()  # of the line
    evidence = models.CharField(max_length=10)  # whole, ranges, sum or packed
    log = models.TextField()
    line = models.BinaryField()  # the bytes
    recorded_at = models.DateTimeField()
    undone_at = models.DateTimeField(null=True)
    undone_by = models.TextField(blank=True)
    undone_because = models.TextField(blank=True)

    class Meta:
        db_table = "dropslot_acknowledgment"
        ordering = ("id",)
        indexes = (models.Index(fields=["delivery", "undone_at", "at"], name="dropslot_ack_delivery"),)


class PartialFetch(models.Model):
    """The ranges of one delivery that one user has fetched so far, until they cover it."""

    delivery = models.ForeignKey(Delivery, models.PROTECT, related_name="partial_fetches", db_index=False)
    user = models.TextField()
    spans = models.JSONField(default=list)  # sorted, apart: [first byte, byte after the last]
    sum_bytes = models.BigIntegerField(default=0)  # of responses whose range is not in the log
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        db_table = "dropslot_partial_fetch"
        constraints = (models.UniqueConstraint(fields=["delivery", "user"], name="dropslot_partial_once"),)


class LogPosition(models.Model):
    """How far one route's log was read. Moves in the transaction that records what was found on the way."""

    route = models.CharField(max_length=100)
    log = models.TextField()
    marks = models.JSONField(default=list)  # rotation.Mark, the oldest file first
    turn = models.BigIntegerField(default=0)  # counts the moves: of two readers at once, one stops
    readable = models.BooleanField(default=False)  # a line of it was of the expected format

    class Meta:
        db_table = "dropslot_log_position"
        constraints = (models.UniqueConstraint(fields=["route", "log"], name="dropslot_log_position_once"),)


class LogReading(models.Model):
    """One run of a reader."""

    id = models.CharField(primary_key=True, max_length=26)  # ULID
    route = models.CharField(max_length=100)
    log = models.TextField()
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    before = models.JSONField(default=list)
    after = models.JSONField(default=list)
    lines = models.BigIntegerField(default=0)
    matches = models.BigIntegerField(default=0)  # lines that asked for a delivery
    unreadable = models.BigIntegerField(default=0)
    acknowledged = models.BigIntegerField(default=0)
    accesses = models.BigIntegerField(default=0)
    error = models.TextField(blank=True)

    class Meta:
        db_table = "dropslot_log_reading"
        ordering = ("id",)


class Unfetched(models.Model):
    """A delivery that nobody fetched when it was looked at last. The row may stay for a while after a fetch: who reads
    it compares the acknowledgments."""

    delivery = models.BigIntegerField(primary_key=True)  # its id
    route = models.CharField(max_length=100)

    class Meta:
        db_table = "dropslot_unfetched"
        indexes = (models.Index(fields=["route", "delivery"], name="dropslot_unfetched_route"),)
