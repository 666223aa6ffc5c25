"""Fetch studies from an archive into a route's inbox. A study gets its final name only if it is what the archive
listed: the same set of SOPInstanceUIDs, and no sub-operation that failed."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from django.db import transaction
from django.utils import timezone

from dropslot.audit.chain import append
from dropslot.audit.kinds import Kind, entry
from dropslot.config.route_folders import FolderSet, folder_sets
from dropslot.core.errors import BadOption
from dropslot.core.names import escape
from dropslot.dicom.deidentifying.delivered_uids import delivered_uid
from dropslot.dicom.fetching.retrieving import get, move, supports_get
from dropslot.dicom.fetching.study_query import Study
from dropslot.dicom.models import Expected
from dropslot.dicom.receiving.command_sets import move_key
from dropslot.dicom.receiving.config_keys import receive_of
from dropslot.dicom.receiving.fetches import PREFIX
from dropslot.dicom.receiving.hidden_folders import DATA, put, write_about
from dropslot.dicom.receiving.into_inbox import publish
from dropslot.dicom.receiving.receptions import INSTANCE, Reception
from dropslot.dicom.receiving.receptions import Peer as Sender
from dropslot.files.descriptors import Folder, make_locked, remove_folder

if TYPE_CHECKING:
    from pathlib import Path

    from dropslot.config import Route
    from dropslot.destinations.dicom.peers import Peer

How = Literal["get", "move"]
_SETTLE_SECONDS = 30.0  # without a new instance, after the archive said that it had sent all
_SETTLE_AFTER_FAULTS_SECONDS = 5.0
_TICK_SECONDS = 0.2
_MESSAGE_IDS = 65535
# The standard leaves it to an archive whether it says so (PS3.7, table 9.1-1: Move Originator Message ID).
_NONE_MOVED = (
    "nothing came that says that it belongs to this C-MOVE. What an archive sends without saying so is taken as if it"
    " had sent it by itself, and is an arrival of its own; try --get"
)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of one study. `faults`: empty if it is an arrival now, named `name`. `received`: SOPInstanceUIDs by
    series."""

    study: Study
    received: dict[str, set[str]]
    faults: list[str]
    name: str = ""


def choose(route: Route, peer: Peer) -> How:
    """How to get it: C-GET needs nothing at the archive but that it can; C-MOVE a receiver that the archive knows.
    Raises BadOption if neither is to be had."""
    if supports_get(peer):
        return "get"
    if receive_of(route) is None:
        raise BadOption(
            f"The archive {escape(peer.node.url)} takes no C-GET, and route {route.key} has no receiver for a C-MOVE",
            next_step="Give the route `receive`, and enter its AE title and address at the archive",
        )
    return "move"


def fetch(route: Route, peer: Peer, study: Study, how: How, by: str) -> Fetched:
    """Get one study. Raises DestinationUnready, OSError and DatabaseError; then nothing of it has a final name. `by`:
    who asked for it."""
    folders = folder_sets(route)[0]
    message_id = secrets.randbelow(_MESSAGE_IDS) + 1
    with _place(folders.inbox, peer, study, "" if how == "get" else move_key(peer.aet, message_id)) as folder:
        faults = (
            _got(folders, peer, study, folder)
            if how == "get"
            else _moved(route, peer, study, folder, message_id)
        )
        received = _received(folder / DATA)
        faults += list(differences(study, received))
        if how == "move" and not received:
            faults.append(_NONE_MOVED)
        if faults:
            return Fetched(study, received, faults)
        _expect(route, peer, study, by)
        name = publish(folders.inbox, folder / DATA, study.uid, peer.node.aet)
        return Fetched(study, received, [], name)


@contextmanager
def _place(inbox: Path, peer: Peer, study: Study, move: str) -> Iterator[Path]:
    """A hidden folder for it, which is gone at the end."""
    with Folder.trusted(str(inbox)) as box:
        name, folder = make_locked(box, PREFIX)
        with folder:
            try:
                (inbox / name / DATA).mkdir(mode=0o700)
                write_about(inbox / name, {"aet": peer.node.aet, "studies": [study.uid], "move": move})
                yield inbox / name
            finally:
                remove_folder(box.fd, name)


def _got(folders: FolderSet, peer: Peer, study: Study, folder: Path) -> list[str]:
    """By C-GET: the query has said which series each instance belongs to."""
    series_of = {uid: series.uid for series in study.series for uid in series.instances}
    reception = Reception(folders.inbox, Sender(peer.node.aet, peer.node.host))
    try:
        faults = get(peer, study, reception)
        if reception.name:
            source = folders.inbox / reception.name
            for name in [name for name in os.listdir(source) if name.endswith(INSTANCE)]:
                sop_uid = name.partition("-")[2].removesuffix(INSTANCE)
                put(source / name, folder / DATA, series_of.get(sop_uid, "not-listed"))
    finally:
        reception.close()
        if reception.name:
            with Folder.trusted(str(folders.inbox)) as box:
                remove_folder(box.fd, reception.name)
    return faults


def _moved(route: Route, peer: Peer, study: Study, folder: Path, message_id: int) -> list[str]:
    """By C-MOVE: the receiver moves what comes into the folder, when its header was read."""
    receive = receive_of(route)
    assert receive is not None
    faults = move(peer, study, receive.aet, message_id)
    # What failed will not come; the rest may still be on its way through the receiver.
    patience = _SETTLE_AFTER_FAULTS_SECONDS if faults else _SETTLE_SECONDS
    _wait_for(folder / DATA, sum(len(series.instances) for series in study.series), patience)
    return faults


def _wait_for(data: Path, count: int, patience: float) -> None:
    seen, since = -1, time.monotonic()
    tick = threading.Event()
    while (now := sum(map(len, _received(data).values()))) < count:
        if now != seen:
            seen, since = now, time.monotonic()
        if time.monotonic() - since > patience:
            return
        tick.wait(_TICK_SECONDS)


def _received(data: Path) -> dict[str, set[str]]:
    return {
        series: {name.removesuffix(INSTANCE) for name in os.listdir(data / series)}
        for series in os.listdir(data)
    }


def differences(study: Study, received: dict[str, set[str]]) -> Iterator[str]:
    """What came that was not listed, and what was listed and did not come, in sentences; none: it is complete."""
    if not study.series:
        yield "the archive listed no series of it"
    for series in study.series:
        if not series.instances:
            yield f"series {series.uid}: the archive listed no instance of it"
        wanted, there = set(series.instances), received.get(series.uid, set())
        if missing := sorted(wanted - there):
            of = f"{len(missing):,} of {len(wanted):,} instances"
            yield f"series {series.uid}: {of} are missing, the first {missing[0]}"
        if more := sorted(there - wanted):
            yield f"series {series.uid}: {len(more):,} instances came that the archive had not listed"
    listed = {series.uid for series in study.series}
    for uid in sorted(set(received) - listed):
        yield f"series {escape(uid)} came, which the archive had not listed"


def _expect(route: Route, peer: Peer, study: Study, by: str) -> None:
    """Record what the archive listed, before the arrival exists: its import compares with it."""
    source = f"{escape(peer.node.server)} by C-FIND"[:300]
    uid_of = delivered_uid(route)
    with transaction.atomic():
        for series in study.series:
            values = {
                "sop_uids": sorted(map(uid_of, series.instances)),
                "source": source,
                "at": timezone.now(),
            }
            Expected.objects.update_or_create(route=route.key, series_uid=uid_of(series.uid), defaults=values)
        count = sum(len(series.instances) for series in study.series)
        append(
            [
                entry(
                    Kind.FETCHED,
                    "",
                    {
                        "route": route.key,
                        "source": escape(peer.node.server),
                        "study_uid": study.uid,
                        "series": len(study.series),
                        "instances": count,
                        "by": by,
                    },
                )
            ]
        )
