"""The receipt of one finished arrival as its sender gets it: signed, and with the outcome of each file.

    {"body": TEXT, "signature": TEXT, "files": TEXT}

`body` is canonical JSON: what the audit trail's receipt says, and `sent_as` (the name under which it was dropped),
`state` (`done` or `failed`), `reason`, and `files_sha256`, the SHA-256 of `files`. `files` has one line of JSON for
each file: `file` (its path in the arrival; in a bag, in its payload), `size_bytes`, `sha256` (as it was sent),
`outcome`, `reason`, `stored`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from dropslot.arrivals import whereabouts
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.audit import receipts
from dropslot.audit.canonical import canonical
from dropslot.audit.chain import Head
from dropslot.audit.kinds import Kind
from dropslot.audit.models import Event, Receipt
from dropslot.config import Config
from dropslot.config.route_folders import FolderSet
from dropslot.contents.contents_of_arrival import contents_of
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.core.states import Outcome, State
from dropslot.files.walk import list_arrival

ENDS = (Kind.DELIVERED, Kind.REFUSED, Kind.DISMISSED)  # the events after which an arrival has a receipt
REFUSED = "refused"


class NotFinished(DropslotError):
    """The arrival is on its way, or on its way again; its receipt comes when it is finished."""

    code = "not-finished"
    retryable = True


class Signed(NamedTuple):
    """A receipt as its sender gets it."""

    body: str
    signature: str
    files: str

    def text(self) -> str:
        """As it lies in a file."""
        return json.dumps(self._asdict())


def signed(config: Config, arrival: Arrival) -> Signed:
    """The receipt of an arrival as it is now. Raises NotFinished, KeyFault, SourceUnready and StorageFault."""
    if arrival.state == State.DONE:
        body, rows = _of_done(arrival), _delivered(arrival)
    elif arrival.state == State.FAILED:
        body, rows = _of_failed(arrival), _refused(config, arrival)
    else:
        raise NotFinished(f"Arrival {arrival.id} is {arrival.state}; it has no receipt now")
    files = "".join(f"{canonical(row)}\n" for row in rows)
    body |= {
        "sent_as": arrival.evidence.get(whereabouts.SENT_AS, arrival.name),
        "state": arrival.state,
        "reason": arrival.reason,
        "files_sha256": hashlib.sha256(files.encode("utf-8")).hexdigest(),
    }
    made = receipts.sign(body, config.keys)
    return Signed(made.body, made.signature, files)


def _of_done(arrival: Arrival) -> dict[str, Any]:
    row = Receipt.objects.filter(arrival=arrival.id).first()
    if row is None:
        raise NotFinished(f"Arrival {arrival.id} has no receipt in the database")
    found: dict[str, Any] = json.loads(row.body)
    return found


def _of_failed(arrival: Arrival) -> dict[str, Any]:
    end = Event.objects.filter(arrival=arrival.id, kind__in=ENDS).order_by("-seq").first()
    if end is None or arrival.finished_at is None:
        raise NotFinished(f"Arrival {arrival.id} has no end in the audit trail")
    return receipts.Summary(
        arrival=arrival.id,
        route=arrival.route,
        name=arrival.name,
        sender=arrival.sender,
        received_at=arrival.received_at,
        finished_at=arrival.finished_at,
        outcomes={},
        manifests={},
        guarantees=[],
        head=Head(end.seq, end.hash),
    ).body()


def _delivered(arrival: Arrival) -> Iterator[dict[str, Any]]:
    """One row a file, in the order of its deliveries; several destinations are in one row."""
    rows: dict[str, dict[str, Any]] = {}
    for delivery in Delivery.objects.filter(arrival=arrival).order_by("id").iterator(2000):
        path = delivery.source_item or delivery.item
        row = rows.setdefault(path, _row(path, Outcome.UNCHANGED, delivery))
        row["stored"].append(
            {"as": delivery.stored_as, "version": delivery.version, "outcome": delivery.outcome}
        )
        if delivery.outcome == Outcome.DELIVERED:
            row["outcome"] = Outcome.DELIVERED.value
    return iter(rows.values())


def _row(
    path: str, outcome: str, delivery: Delivery | None = None, size_bytes: int | None = None
) -> dict[str, Any]:
    if delivery is not None and not delivery.source_sha256:  # else its size is that of what was made of it
        size_bytes = delivery.size_bytes
    return {
        "file": path,
        "size_bytes": size_bytes,
        "sha256": (delivery.source_sha256 or delivery.sha256) if delivery else None,
        "outcome": str(outcome),
        "reason": [],
        "stored": [],
    }


def _refused(config: Config, arrival: Arrival) -> Iterator[dict[str, Any]]:
    """One row a file that lies in failed; none if the arrival was removed from there. Each with the reasons that name
    it."""
    folders = whereabouts.folders_of(config, arrival)
    if folders is None:
        return
    name = os.fsdecode(bytes(arrival.name_bytes))
    path = whereabouts.refused(folders, arrival.id) / name
    if not os.path.lexists(path):
        if os.path.lexists(_held(folders, arrival) / name):
            raise NotFinished(f"Arrival {arrival.id} was refused; it is not in failed yet")
        return
    contents = contents_of(list_arrival(path, folders.route.litter))
    items = [(inside, item) for item in contents.listing.items if (inside := contents.path_of(item.path))]
    named = _by_file(arrival.reason, {escape(item.path): inside for inside, item in items})
    for inside, item in items:
        yield _row(inside, REFUSED, size_bytes=item.size_bytes) | {"reason": named.get(inside, [])}


def _held(folders: FolderSet, arrival: Arrival) -> Any:
    return whereabouts.held(folders, arrival.id, arrival.epoch)


def _by_file(reasons: Sequence[str], files: Mapping[str, str]) -> dict[str, list[str]]:
    """The reasons that begin with a file's path, by file: `data/scan.nii: the name …`. Of two paths that a reason
    begins with, the longer one is meant."""
    known = {**{escape(inside): inside for inside in files.values()}, **files}
    found: dict[str, list[str]] = {}
    for reason in reasons:
        ends = [at for at, letter in enumerate(reason) if letter in " :,"]
        if path := next((known[reason[:at]] for at in reversed(ends) if reason[:at] in known), None):
            found.setdefault(path, []).append(reason)
    return found
