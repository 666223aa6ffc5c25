"""The rows of claims: written in batches by one thread, so that a slow commit never delays a claim."""

from __future__ import annotations

import os
import pwd
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog
from django.db import IntegrityError, connections, transaction

from dropslot.arrivals import whereabouts
from dropslot.arrivals.intake import inplace
from dropslot.arrivals.intake.claim import Claim, dropped_at
from dropslot.arrivals.intake.ranks import give_ranks
from dropslot.arrivals.models import Arrival, Upload
from dropslot.arrivals.unavailable import UNAVAILABLE
from dropslot.audit.canonical import text_of
from dropslot.audit.chain import Entry, append, become_only_writer
from dropslot.audit.kinds import Kind, entry
from dropslot.config import Config
from dropslot.config.route_folders import FolderSet
from dropslot.core.context import once
from dropslot.core.names import escape
from dropslot.core.patterns import forms
from dropslot.core.states import State
from dropslot.fields.name import NamePattern

log = structlog.get_logger()
MOST_PENDING = 2_000  # claims in memory, before the watcher waits for the database
LISTED = 20  # ids in a line of the log
LONGEST_NAME = 150  # what the columns of sender and location hold


@once
def user_name(uid: int) -> str:
    """The account's name; its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def called(config: Config, folders: FolderSet, name: str) -> dict[str, Any]:
    """The columns that an arrival's name decides on."""
    pattern = folders.route.name
    matched = NamePattern(pattern).values(name) if pattern else None
    # A name that is no text is refused, but first recorded: no database holds its raw bytes as text.
    fields = {key: text_of(value) for key, value in {**folders.fields, **(matched or {})}.items()}
    location = fields.get("location") or ""
    return {
        "name": escape(name),
        "name_bytes": os.fsencode(name),
        "location": _readable(config, location)[:LONGEST_NAME],
        "fields": fields,
    }


def describe(config: Config, claim: Claim) -> dict[str, Any]:
    """The columns of a claim's row, state left out."""
    route = claim.folders.route
    return called(config, claim.folders, claim.name) | {
        "route": route.key,
        "inbox": str(claim.folders.inbox),
        "is_folder": claim.is_folder,
        "in_place": route.leave_source,
        "sender": user_name(claim.uid)[:LONGEST_NAME],
        "evidence": claim.evidence | {"uid": claim.uid},
        "size_bytes": claim.size_bytes,
        "dropped_at": claim.dropped_at or dropped_at(claim.id),
        "received_at": claim.received_at,
        "epoch": claim.epoch,
    }


def _readable(config: Config, location: str) -> str:
    """The machine's name in config.yaml; the form of accents makes no difference."""
    names = config.locations
    if not location or not names:
        return location
    return next((names[form] for form in forms(location) if form in names), location)


def record_claims(config: Config, claims: Sequence[Claim]) -> None:
    """Make the claims durable and give them rows in state ready: one sync a folder set and one commit for all.

    May be repeated, by others at the same time too: an existing row stays as it is, unless it waited.
    """
    _sync([claim for claim in claims if not claim.folders.route.leave_source])
    try:
        _write(config, claims)
    except IntegrityError:
        # Recovery, or another process, recorded one of them between our look and our insert: now it is seen.
        _write(config, claims)


def _write(config: Config, claims: Sequence[Claim]) -> None:
    moved = [claim for claim in claims if not claim.folders.route.leave_source]
    if moved:
        _write_moved(config, moved)
    in_place = [claim for claim in claims if claim.folders.route.leave_source]
    if in_place:
        _write_in_place(config, in_place)


def _write_moved(config: Config, claims: Sequence[Claim]) -> None:
    made = _rows(config, claims)
    uploads = _uploads_of(claims)
    with transaction.atomic():
        _take_senders(config, uploads, made)
        known = (
            Arrival.objects.select_for_update().filter(id__in=[claim.id for claim in claims]).order_by("id")
        )
        states = dict(known.values_list("id", "state"))
        rows = [row for row in made if states.get(row.id, State.WAITING) == State.WAITING]
        give_ranks(rows)
        Arrival.objects.bulk_create([row for row in rows if row.id not in states])
        for row in (row for row in rows if row.id in states):
            row.save(force_update=True)  # the row of a waiting entry had less data, or was of another entry
        append([_claimed(row) for row in rows])


def _write_in_place(config: Config, claims: Sequence[Claim]) -> None:
    """An entry that is read in place may have been claimed by another process, too: then it is left out."""
    made = _rows(config, claims)
    uploads = _uploads_of(claims)
    with transaction.atomic():
        _take_senders(config, uploads, made)
        give_ranks(made)
        # If two processes see the same entry, the second one sees the first one's row. A transaction of its own: it
        # waits for no other row.
        become_only_writer()
        there = set(
            Arrival.objects.filter(id__in=[claim.id for claim in claims]).values_list("id", flat=True)
        )
        fresh = zip(claims, made, strict=True)
        rows = [row for claim, row in fresh if claim.id not in there and not inplace.is_known(claim)]
        Arrival.objects.bulk_create(rows)
        append([_claimed(row) for row in rows])


def _uploads_of(claims: Sequence[Claim]) -> Mapping[str, Upload]:
    """What came through the portal, by the arrival's id; one query for all. Its files belong to the service's own
    account, so the owner says nothing; the row does that the portal writes before the entry gets its final name."""
    ours = [claim for claim in claims if claim.uid == os.geteuid()]
    if not ours:
        return {}
    inboxes = {str(claim.folders.inbox) for claim in ours}
    names = {escape(claim.name) for claim in ours}
    rows = Upload.objects.filter(inbox__in=inboxes, name__in=names)
    known = {(row.inbox, row.name, row.inode): row for row in rows}
    return {claim.id: row for claim in ours if known and (row := known.get(_key_of_upload(claim)))}


def _take_senders(config: Config, uploads: Mapping[str, Upload], arrivals: Sequence[Arrival]) -> None:
    """Give the arrivals their senders, and remove the rows, in the transaction that records the arrivals."""
    if not uploads:
        return
    for arrival in arrivals:
        if arrival.id in uploads:
            arrival.sender = uploads[arrival.id].sender
            arrival.location = arrival.location or _location_of(config, arrival.sender)
    Upload.objects.filter(id__in=[upload.id for upload in uploads.values()]).delete()


def _location_of(config: Config, sender: str) -> str:
    """Where a scanner stands, by its AE title; empty if `locations` does not say it."""
    return config.locations.get(sender, "")[:LONGEST_NAME]


def _key_of_upload(claim: Claim) -> tuple[str, str, int]:
    inode = 0
    with suppress(OSError):  # moved on meanwhile
        inode = os.lstat(_path_of(claim)).st_ino
    return str(claim.folders.inbox), escape(claim.name), inode


def _path_of(claim: Claim) -> str:
    if claim.folders.route.leave_source:
        return os.path.join(claim.folders.inbox, claim.name)
    return os.path.join(whereabouts.held(claim.folders, claim.id, claim.epoch), claim.name)


def _rows(config: Config, claims: Sequence[Claim]) -> list[Arrival]:
    """Before the transaction: the names of senders may come from a directory server, and no transaction must wait for
    it."""
    return [Arrival(id=claim.id, state=State.READY, **describe(config, claim)) for claim in claims]


def record_apart(config: Config, claims: Sequence[Claim]) -> int:
    """As `record_claims`, but a claim that cannot be recorded does not stop the others: it is logged, and stays in
    processing, where recovery retries it. Returns the number of such claims. Raises one of
    UNAVAILABLE if the database accepts none."""
    try:
        record_claims(config, claims)
    except UNAVAILABLE:
        raise
    except Exception as error:
        if len(claims) > 1:
            return sum(record_apart(config, [claim]) for claim in claims)
        line = "A claim could not be recorded; it lies in processing, and is retried in a minute"
        log.exception(line, action="claim_unrecorded", arrival=claims[0].id, error=type(error).__name__)
        return 1
    return 0


def _claimed(row: Arrival) -> Entry:
    return entry(
        Kind.CLAIMED,
        row.id,
        {
            "route": row.route,
            "inbox": row.inbox,
            "name": row.name,
            "sender": row.sender,
            "in_place": row.in_place,
        },
    )


def _sync(claims: Sequence[Claim]) -> None:
    """The row must not be durable before the rename: a power failure could put the entry back into the inbox. Each
    claim's own folder has the name, processing has the folder; after the first sync the others have little left to
    do."""
    for claim in claims:
        with suppress(FileNotFoundError):  # adopted meanwhile, and moved on
            _sync_folder(str(whereabouts.held(claim.folders, claim.id, 1)))
    for processing in {claim.folders.processing for claim in claims}:
        _sync_folder(str(processing))


def _sync_folder(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Recorder:
    """Takes claims from the watcher's thread and records them in its own. `announce` gets the ids after each commit.

    Claims that cannot be recorded (database locked, no answer) are kept and retried; they also lie in processing,
    where the next start adopts them.
    """

    def __init__(self, config: Config, announce: Callable[[Sequence[str]], None] | None = None) -> None:
        self._config = config
        self._announce = announce
        self._queue: queue.SimpleQueue[Claim | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._pending = 0  # in hand
        self._left = 0  # given up until recovery tries them
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        """Begin to record."""
        self._thread.start()

    def put(self, claim: Claim) -> None:
        """Hand over one claim; never waits for the database."""
        with self._changed:
            self._pending += 1
        self._queue.put(claim)

    @property
    def pending(self) -> int:
        """Claims that have no row yet."""
        return self._pending + self._left

    @property
    def is_full(self) -> bool:
        """Whether so many claims have no row yet that no more should be made now."""
        return self._pending >= MOST_PENDING

    def flush(self, seconds: float) -> bool:
        """Wait until everything is recorded, at most `seconds`; returns whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: self._pending == 0, seconds)

    def close(self, seconds: float = 5.0) -> None:
        """Record the remaining claims, then end; a claim that cannot be recorded in time is adopted at the next
        start."""
        self._stopping.set()
        self._queue.put(None)
        self._thread.join(seconds)

    def _run(self) -> None:
        while (claims := self._next()) is not None:
            self._persist(claims)
        connections.close_all()

    def _next(self) -> list[Claim] | None:
        first = self._queue.get()
        if first is None:
            return None
        claims = [first]
        while len(claims) < 500 and not self._queue.empty():
            claim = self._queue.get()
            if claim is None:
                self._queue.put(None)
                break
            claims.append(claim)
        return claims

    def _persist(self, claims: list[Claim]) -> None:
        wait = 0.5
        while True:
            try:
                left = record_apart(self._config, claims)
            except UNAVAILABLE as error:
                log.warning(
                    "Claims could not be recorded; they wait in processing and are retried",
                    action="claims_unrecorded",
                    count=len(claims),
                    arrivals=[claim.id for claim in claims[:LISTED]],
                    error=str(error),
                )
                connections.close_all()  # also a good one: if its server is read-only now, another may have taken over
                if self._stopping.wait(wait):
                    return
                wait = min(wait * 2, 30.0)
            else:
                with self._changed:
                    self._pending -= len(claims)
                    self._left += left
                    self._changed.notify_all()
                log.debug("Claimed", action="claimed", arrivals=[claim.id for claim in claims])
                if self._announce:
                    self._announce([claim.id for claim in claims])
                return
