"""Arrivals, their deliveries, and what follows them: calls, and receipts for senders."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from dropslot.core.states import Outcome, ShareState, State


def _choices(kind: type[State] | type[Outcome] | type[ShareState]) -> list[tuple[str, str]]:
    return [(member.value, member.value) for member in kind]


class Arrival(models.Model):
    """One complete thing taken from an inbox. Every write of a worker says `WHERE epoch = …`."""

    id = models.CharField(primary_key=True, max_length=26)  # ULID
    route = models.CharField(max_length=100)
    inbox = models.TextField()  # absolute path; with `route` it finds the folder set again
    name = models.TextField()  # escaped for people
    name_bytes = models.BinaryField()
    is_folder = models.BooleanField()
    in_place = models.BooleanField(default=False)  # leave_source: read where it lies
    sender = models.CharField(max_length=150, blank=True)
    location = models.CharField(max_length=150, blank=True)
    fields = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=_choices(State))
    reason = models.JSONField(default=list)
    items = models.BigIntegerField(null=True)
    size_bytes = models.BigIntegerField(null=True)
    attempts = models.IntegerField(default=0)
    epoch = models.IntegerField(default=0)
    worker = models.CharField(max_length=100, blank=True)
    lease_until = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)  # not to be tried before
    held_at = models.DateTimeField(null=True)  # judged whole; no worker takes it before somebody releases it
    look_again_at = models.DateTimeField(null=True)  # done, read without a lease: when it is compared again
    intent = models.JSONField(
        null=True
    )  # what is about to be published: for each destination, the digest of its manifest
    evidence = models.JSONField(default=dict)  # the sender's uid; in place: what it was when it was read last
    dropped_at = models.DateTimeField(default=timezone.now)  # the ctime of its entry in the inbox
    received_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    archived_as = models.TextField(blank=True)
    rank = models.BigIntegerField(default=0, db_default=0)  # its place in the queue of work: `intake.ranks`

    class Meta:
        db_table = "dropslot_arrival"
        ordering = ("id",)
        indexes = (
            # Whole, not partial: SQLite does not see that a list of bound values fits the condition of an index.
            models.Index(fields=["state", "dropped_at"], name="dropslot_arrival_queue"),
            models.Index(fields=["inbox", "name"], name="dropslot_arrival_name"),
            models.Index(fields=["sender", "id"], name="dropslot_arrival_sender"),
            models.Index(
                fields=["look_again_at"],
                name="dropslot_arrival_look",
                condition=Q(look_again_at__isnull=False),
            ),
            # Of unfinished arrivals alone, so that these stay small: what is next, and what else wants its names.
            models.Index(
                fields=["route", "rank", "dropped_at", "id"],
                name="dropslot_arrival_rank",
                condition=Q(finished_at__isnull=True, held_at__isnull=True),
            ),
            models.Index(
                fields=["name"], name="dropslot_arrival_rival", condition=Q(finished_at__isnull=True)
            ),
            models.Index(
                fields=["dropped_at"],
                name="dropslot_arrival_folder",
                condition=Q(finished_at__isnull=True, is_folder=True),
            ),
        )


class Lane(models.Model):
    """Where the arrivals of one sender on one route end in the queue of work: the rank of its next one."""

    route = models.CharField(max_length=100)
    sender = models.CharField(max_length=150)
    rank = models.BigIntegerField()

    class Meta:
        db_table = "dropslot_lane"
        constraints = (models.UniqueConstraint(fields=["route", "sender"], name="dropslot_lane_once"),)


class Place(models.Model):
    """A resolved target; within it stored names are unique."""

    url = models.TextField(unique=True)

    class Meta:
        db_table = "dropslot_place"


class Delivery(models.Model):
    """One item at one destination. Rows are the reservation of names: they are made before anything is published,
    and count as delivered once their arrival is done."""

    arrival = models.ForeignKey(Arrival, models.PROTECT, related_name="deliveries")
    place = models.ForeignKey(Place, models.PROTECT, related_name="+", db_index=False)
    item = models.TextField()  # path inside the arrival, as published
    stored_as = models.TextField()  # path inside the place
    version = models.IntegerField()
    outcome = models.CharField(max_length=10, choices=_choices(Outcome))
    superseded = models.BooleanField(default=False)  # a version that was dropped later existed already
    sha256 = models.CharField(max_length=64)
    size_bytes = models.BigIntegerField()
    mtime_ns = models.BigIntegerField()
    mime = models.CharField(max_length=100, blank=True)
    # Of what it was made anew: path inside the arrival, and SHA-256; each empty where it is the same.
    source_item = models.TextField(blank=True, default="", db_default="")
    source_sha256 = models.CharField(max_length=64, blank=True, default="", db_default="")

    class Meta:
        db_table = "dropslot_delivery"
        constraints = (
            models.UniqueConstraint(
                fields=["place", "stored_as"],
                condition=Q(outcome=Outcome.DELIVERED),
                name="dropslot_delivery_once",
            ),
        )
        # A first version is stored under its item's name, so the unique index finds it.
        indexes = (
            models.Index(fields=["place", "item"], name="dropslot_delivery_item", condition=Q(version__gt=1)),
        )


class Adoption(models.Model):
    """A file that was at a target before dropslot came: hashed, and kept as version 1."""

    place = models.ForeignKey(Place, models.PROTECT, related_name="+", db_index=False)
    stored_as = models.TextField()
    sha256 = models.CharField(max_length=64)
    size_bytes = models.BigIntegerField()
    at = models.DateTimeField()

    class Meta:
        db_table = "dropslot_adoption"
        constraints = (models.UniqueConstraint(fields=["place", "stored_as"], name="dropslot_adoption_once"),)


class Upload(models.Model):
    """An entry that an account put into an inbox through the portal: the account is its sender. The row is written
    before the entry gets its final name, and goes when the claim is recorded. `inode` tells it from another entry that
    took the name."""

    inbox = models.TextField()
    name = models.TextField()  # escaped
    inode = models.BigIntegerField()
    sender = models.CharField(max_length=150)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "dropslot_upload"
        constraints = (
            models.UniqueConstraint(fields=["inbox", "name", "inode"], name="dropslot_upload_once"),
        )


class Share(models.Model):
    """Some items of a large arrival, which any worker may stage for its holder, in one attempt. The rows are gone when
    all is staged; those of an attempt that a crash ended are never taken, since their epoch is over."""

    arrival = models.ForeignKey(Arrival, models.PROTECT, related_name="+")
    epoch = models.IntegerField()
    number = models.IntegerField()
    route = models.CharField(max_length=100)
    state = models.CharField(max_length=10, choices=_choices(ShareState))
    task = models.BinaryField()  # compressed JSON: the items, and where they come from and go to
    worker = models.CharField(max_length=100, blank=True)
    lease_until = models.DateTimeField(null=True)
    digests = models.BinaryField(null=True)  # of all items, joined
    unleased = models.IntegerField(default=0)  # items that were read without a lease
    synced = models.BooleanField(default=True)
    uploads = models.BinaryField(null=True)  # what the holder needs to publish what is sent already

    class Meta:
        db_table = "dropslot_share"
        constraints = (
            models.UniqueConstraint(fields=["arrival", "epoch", "number"], name="dropslot_share_once"),
        )
        indexes = (models.Index(fields=["state", "arrival", "number"], name="dropslot_share_open"),)


class AfterCall(models.Model):
    """The `after` function of one finished arrival; retried apart from the delivery."""

    arrival = models.OneToOneField(Arrival, models.PROTECT, primary_key=True)
    attempts = models.IntegerField(default=0)
    due_at = models.DateTimeField(null=True)  # null: called, nothing left to do
    error = models.TextField(blank=True)
    worker = models.CharField(max_length=100, blank=True)  # who calls it now; renews `due_at` meanwhile

    class Meta:
        db_table = "dropslot_after_call"
        indexes = (
            models.Index(fields=["due_at"], name="dropslot_after_due", condition=Q(due_at__isnull=False)),
        )


class ReceiptCopy(models.Model):
    """The receipt of one finished arrival in its sender's folder. `seq` is the event that asks for it: a later one asks
    again."""

    arrival = models.OneToOneField(Arrival, models.PROTECT, primary_key=True)
    seq = models.BigIntegerField()
    attempts = models.IntegerField(default=0)
    due_at = models.DateTimeField(null=True)  # null: written, nothing left to do
    error = models.TextField(blank=True)

    class Meta:
        db_table = "dropslot_receipt_copy"
        indexes = (
            models.Index(fields=["due_at"], name="dropslot_receipt_due", condition=Q(due_at__isnull=False)),
        )


class Candidate(models.Model):
    """A process that does duties or stands by for them. It is alive until `until`, by the database's clock."""

    name = models.CharField(
        primary_key=True, max_length=100
    )  # of its lock: host, process id and a random part
    role = models.CharField(max_length=20)  # watcher or beat
    wants = models.JSONField(default=list)  # the names of duties
    version = models.CharField(max_length=40)  # of dropslot
    until = models.DateTimeField()

    class Meta:
        db_table = "dropslot_candidate"


class Duty(models.Model):
    """What one process does at a time. The holder has it for as long as its row among the candidates is valid."""

    name = models.TextField(primary_key=True)
    holder = models.CharField(max_length=100, blank=True)  # a candidate; empty: nobody
    last = models.CharField(max_length=100, default="", db_default="")  # who had it last, also after its end
    since = models.DateTimeField()
    term = models.IntegerField(default=0)  # how often it changed hands

    class Meta:
        db_table = "dropslot_duty"


class Sentinel(models.Model):
    """The process that watches over one tree of processes: a service, a portal alone, workers, or a beat. A row whose
    time is over, by the database's clock, belongs to a tree that was killed, or whose machine is away."""

    name = models.CharField(primary_key=True, max_length=100)  # of its lock, as of a candidate
    tree = models.CharField(max_length=10)
    since = models.DateTimeField()
    until = models.DateTimeField()
    processes = models.JSONField(default=list)  # of its machine, with the keys of `health --json`
    late = models.JSONField(default=list)  # what only its machine sees

    class Meta:
        db_table = "dropslot_sentinel"


class OpenTrouble(models.Model):
    """A trouble that an event has told of, and that is not over."""

    key = models.CharField(primary_key=True, max_length=64)  # SHA-256 of what makes it the same trouble
    trouble = models.CharField(max_length=20)  # a TroubleKind
    about = models.TextField()
    what = models.TextField()
    remedy = models.TextField()
    route = models.CharField(max_length=100, blank=True)
    study = models.TextField(blank=True)
    by = models.CharField(max_length=100)  # the machine that found it
    began_at = models.DateTimeField()

    class Meta:
        db_table = "dropslot_trouble"
        ordering = ("began_at", "key")


class Usage(models.Model):
    """What is known of one space: a folder, a file system or a quota. `used_bytes` and `files`: of a folder as counted,
    otherwise as asked last."""

    key = models.TextField(unique=True)
    used_bytes = models.BigIntegerField(default=0)
    files = models.BigIntegerField(default=0)
    free_bytes = models.BigIntegerField(null=True)  # of what is at a server
    free_files = models.BigIntegerField(null=True)
    limited_by = models.TextField(blank=True, default="", db_default="")  # the id of the server's file system
    looked_at = models.DateTimeField(null=True)  # when the folder was walked through, or the server asked
    daily_bytes = models.BigIntegerField(null=True)  # how fast it grows
    is_filling = models.BooleanField(default=False, db_default=False)  # as was said last

    class Meta:
        db_table = "dropslot_usage"


class UsageSample(models.Model):
    """What a space held at the beginning of an hour; after two days one a day is kept."""

    usage = models.ForeignKey(Usage, models.CASCADE, related_name="samples", db_index=False)
    at = models.DateTimeField()
    used_bytes = models.BigIntegerField()

    class Meta:
        db_table = "dropslot_usage_sample"
        constraints = (models.UniqueConstraint(fields=["usage", "at"], name="dropslot_usage_sample_once"),)


class Installation(models.Model):
    """One row: the random id of this installation, which is also in the markers of its folders."""

    only = models.SmallIntegerField(primary_key=True, default=1)
    id = models.CharField(max_length=26)
    # The public key of receipts of the machine that started first; empty with SQLite, and before a start.
    signer = models.TextField(blank=True, default="", db_default="")

    class Meta:
        db_table = "dropslot_installation"
