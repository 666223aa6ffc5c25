"""What was received becomes arrivals, and each association an event."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog
from django.db import DatabaseError, transaction

from dropslot.audit.chain import append
from dropslot.audit.event_payloads import Received
from dropslot.audit.kinds import Kind, entry
from dropslot.config.route_folders import folder_sets
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.dicom.receiving.config_keys import QUIET, receive_of, takes_studies
from dropslot.dicom.receiving.hidden_folders import note_sorted
from dropslot.dicom.receiving.leftovers import left_receptions
from dropslot.dicom.receiving.receptions import INSTANCE
from dropslot.dicom.receiving.refused_associations import Refusals
from dropslot.dicom.receiving.study_folders import Studies
from dropslot.files.descriptors import Folder, remove_folder

if TYPE_CHECKING:
    from pathlib import Path

    from dropslot.config import Config
    from dropslot.dicom.receiving.associations import Incoming
    from dropslot.dicom.receiving.receptions import Peer

log = structlog.get_logger()


@dataclass(slots=True)
class Ended:
    """An association that is over, and whose folder is not empty yet, or whose event is not recorded yet. `name`: its
    folder; empty if it has none."""

    peer: Peer
    name: str
    instances: int
    failures: int
    how: str  # `released`, `aborted` or `interrupted`
    folder: Folder | None = None  # locked, if another process left it


@dataclass(slots=True)
class Inbox:
    """The inbox of one route."""

    route: str
    path: Path
    studies: Studies
    ended: list[Ended] = field(default_factory=list)
    sorted: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # by reception


class Arriving:
    """All inboxes that receive."""

    def __init__(self, config: Config) -> None:
        self.refusals = Refusals()
        self._inboxes: dict[str, Inbox] = {}
        for route in config.routes.values():
            if not takes_studies(route):
                continue
            inbox = folder_sets(route)[0].inbox
            receive = receive_of(route)
            studies = Studies(inbox, (receive.quiet if receive else QUIET).total_seconds())
            self._inboxes[route.key] = Inbox(route.key, inbox, studies)

    def adopt(self) -> None:
        """Take what other processes have left. Raises OSError, as `step`."""
        self._each(_adopt)

    def note(self, ended: Iterable[Incoming]) -> None:
        """These associations are over."""
        for incoming in ended:
            reception = incoming.reception
            if incoming.route is None or reception is None or not reception.stored + reception.failed:
                continue
            how = "released" if incoming.association.is_released else "aborted"
            one = Ended(reception.peer, reception.name, reception.stored, reception.failed, how)
            self._inboxes[incoming.route.key].ended.append(one)

    def step(self, still_open: Iterable[Incoming]) -> None:
        """Sort what came, record what is over, finish what is quiet. Raises OSError, DatabaseError and DropslotError
        when all inboxes were looked at: the next step goes on where this one ended."""
        open_: dict[str, dict[str, Peer]] = defaultdict(dict)
        for incoming in still_open:
            if incoming.route is not None and incoming.reception is not None and incoming.reception.name:
                open_[incoming.route.key][incoming.reception.name] = incoming.reception.peer
        self._each(lambda inbox: _step(inbox, open_[inbox.route]))

    def _each(self, do: Callable[[Inbox], None]) -> None:
        """One inbox that is away holds up no other."""
        errors: list[Exception] = []
        for inbox in self._inboxes.values():
            try:
                do(inbox)
            except (DatabaseError, OSError, DropslotError) as error:
                errors.append(error)
        if errors:
            raise errors[0]


def _adopt(inbox: Inbox) -> None:
    inbox.studies.adopt()
    known = {one.name for one in inbox.ended}
    for left in left_receptions(inbox.path):
        if left.name in known:
            left.folder.close()
            continue
        count = left.sorted + len(_instances(inbox.path / left.name))
        inbox.ended.append(Ended(left.peer, left.name, count, 0, left.how, left.folder))


def _step(inbox: Inbox, still_open: dict[str, Peer]) -> None:
    for name, aet in _receptions(inbox, still_open):
        if moved := inbox.studies.sort(name, aet):
            inbox.sorted[name] += moved
            note_sorted(inbox.path / name, inbox.sorted[name])
    _record(inbox)
    for name in inbox.studies.finish(set(still_open)):
        log.info(
            f"{escape(name)} was received", action="study_received", route=inbox.route, name=escape(name)
        )


def _receptions(inbox: Inbox, still_open: dict[str, Peer]) -> Iterator[tuple[str, str]]:
    yield from ((name, peer.aet) for name, peer in still_open.items())
    yield from ((one.name, one.peer.aet) for one in inbox.ended if one.name)


def _record(inbox: Inbox) -> None:
    """One event for each association. Its folder, which is empty now, goes afterwards."""
    if not inbox.ended:
        return
    with transaction.atomic():
        said = [one for one in inbox.ended if one.instances + one.failures]
        append([entry(Kind.RECEIVED, "", _payload(inbox, one)) for one in said])
    while inbox.ended:
        one = inbox.ended.pop()
        with Folder.trusted(str(inbox.path)) as box:
            if one.name:
                remove_folder(box.fd, one.name)
        inbox.sorted.pop(one.name, None)
        if one.folder is not None:
            one.folder.close()


def _payload(inbox: Inbox, one: Ended) -> Received:
    return {
        "route": inbox.route,
        "aet": escape(one.peer.aet),
        "host": one.peer.host,
        "instances": one.instances,
        "failures": one.failures,
        "ended": one.how,
    }


def _instances(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.endswith(INSTANCE)]
