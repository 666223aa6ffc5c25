"""Who is told, what is to be told, what was sent, and what people have asked for."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

# States of a message.
WAITING, SENDING, SENT, UNKNOWN, GIVEN_UP = "waiting", "sending", "sent", "unknown", "given-up"


class Recipient(models.Model):
    """Somebody who is told things: an account, or a place that config.yaml names. `key` is `user:ID`, or the target's
    text."""

    key = models.TextField(unique=True)
    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")
    last_at = models.DateTimeField(null=True)  # when the last message was begun
    pause_seconds = models.IntegerField(default=0)  # until the next one, at least

    class Meta:
        db_table = "dropslot_notify_recipient"


class Message(models.Model):
    """One message. It is marked before it is sent, so that a crash in between sends nothing twice: nobody knows then
    whether it arrived, and the next message says so."""

    id = models.CharField(primary_key=True, max_length=26)  # ULID; the Message-ID of a mail begins with it
    recipient = models.ForeignKey(Recipient, models.CASCADE, related_name="messages")
    state = models.CharField(max_length=10, default=WAITING)
    notice = models.JSONField(null=True)  # of a kind that is never grouped, as a digest; else its groups say
    title = models.TextField(blank=True)  # as it was tried last
    target = models.TextField(blank=True)  # the same: as it may be shown
    attempts = models.IntegerField(default=0)
    made_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)  # null: it is being sent, or finished
    tried_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    worker = models.CharField(max_length=100, blank=True)  # who sends it
    error = models.TextField(blank=True)

    class Meta:
        db_table = "dropslot_notify_message"
        indexes = (
            models.Index(fields=["state", "due_at"], name="dropslot_notify_state"),
            models.Index(fields=["ended_at"], name="dropslot_notify_ended"),
        )


class Group(models.Model):
    """What happened alike, for one recipient: how often, and the first few of it. It grows until a message takes it."""

    recipient = models.ForeignKey(Recipient, models.CASCADE, related_name="groups")
    message = models.ForeignKey(Message, models.CASCADE, null=True, related_name="groups")
    digest = models.CharField(max_length=64)  # of what makes it the same
    news = models.CharField(max_length=20)  # a `news.News`
    content = models.JSONField()  # `engine.alike`
    count = models.BigIntegerField()
    first_seq = models.BigIntegerField()  # of the events
    last_seq = models.BigIntegerField()
    noted_at = models.DateTimeField()

    class Meta:
        db_table = "dropslot_notify_group"
        constraints = (
            models.UniqueConstraint(
                fields=["recipient", "digest"], condition=Q(message__isnull=True), name="dropslot_notify_once"
            ),
        )


class Preference(models.Model):
    """What one person has asked for in the portal. Without `kinds` the rules `sender` and `study` decide; with them it
    is told of exactly these kinds, of everything that it may see."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="dropslot_preference"
    )
    kinds = models.JSONField(null=True, default=None)  # of `news.News`; null: as the rules say; []: nothing
    routes = models.JSONField(default=list)  # keys; empty: all
    target = models.TextField(blank=True)  # empty: the account's address of mail
    quiet = models.CharField(max_length=11, blank=True)  # '22:00-07:00'; empty: as config.yaml says
    digest = models.CharField(max_length=6, blank=True)  # daily, weekly or nothing

    class Meta:
        db_table = "dropslot_notify_preference"


class DigestPeriod(models.Model):
    """Until when the last summary of somebody was: `key` is `user:ID`, or a target's text."""

    key = models.TextField()
    every = models.CharField(max_length=6)  # daily or weekly
    until = models.DateTimeField()

    class Meta:
        db_table = "dropslot_notify_digest"
        constraints = (models.UniqueConstraint(fields=["key", "every"], name="dropslot_notify_digest_once"),)
