"""Roles of accounts, and tokens of programs."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from dropslot.access.roles import Role


class Grant(models.Model):
    """One role of one account, for one route or for all; an account may have several.

    A recipient's is bound to a folder of the route's destinations, a study runner's to one value of a field.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="dropslot_grants")
    role = models.CharField(max_length=20, choices=[(role.value, role.value) for role in Role])
    route = models.CharField(max_length=100, blank=True)  # empty: all
    folder = models.TextField(blank=True)  # recipient: path below the fixed part of a destination's `to`
    field = models.CharField(max_length=100, blank=True)  # study runner: name of a field, as `study` …
    value = models.TextField(blank=True)  # … and the value that is seen
    made_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "dropslot_grant"
        constraints = (
            models.UniqueConstraint(
                fields=["user", "role", "route", "folder", "field", "value"], name="dropslot_grant_once"
            ),
        )

    def __str__(self) -> str:
        bound = self.folder or (f"{self.field}: {self.value}" if self.field else "")
        return ", ".join(filter(None, (self.role, self.route or "all routes", bound)))


class Token(models.Model):
    """A program's credential for the API. Only its SHA-256 is kept: it is shown once, when it is made."""

    id = models.CharField(primary_key=True, max_length=26)  # ULID
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="dropslot_tokens")
    name = models.CharField(max_length=100, blank=True)
    digest = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    used_on = models.DateField(null=True)  # the last day; a time would be a write for each call

    class Meta:
        db_table = "dropslot_token"
        ordering = ("-id",)


class SessionEpoch(models.Model):
    """Which sessions of an account are valid: those that began in its present epoch (`sessions`)."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="dropslot_epoch"
    )
    epoch = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "dropslot_session_epoch"


class DirectoryAccount(models.Model):
    """An account that the directory has made: it signs in there, and gets its roles from there (`directory`)."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="dropslot_directory"
    )
    dn = models.TextField()

    class Meta:
        db_table = "dropslot_directory_account"


class SavedView(models.Model):
    """A listing's filter that somebody has given a name."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="dropslot_views")
    page = models.CharField(max_length=40)
    name = models.CharField(max_length=100)
    query = models.TextField()

    class Meta:
        db_table = "dropslot_saved_view"
        constraints = (models.UniqueConstraint(fields=["user", "page", "name"], name="dropslot_view_once"),)


class RecordedVisits(models.Model):
    """A file of noted visits whose events are in the trail; the row goes when the file is gone (`visit_trail`)."""

    name = models.CharField(primary_key=True, max_length=60)

    class Meta:
        db_table = "dropslot_recorded_visits"
