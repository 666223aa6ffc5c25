"""The signed summary of a finished arrival, which its sender can read and anybody can verify.

    ssh-keygen -Y verify -f allowed_signers -I dropslot -n dropslot -s RECEIPT.sig < RECEIPT.json

The body is canonical JSON. It holds the head of the chain, so anyone who has a receipt can prove that no event up to
it was changed or removed since.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dropslot.audit import signing_key
from dropslot.audit.canonical import canonical
from dropslot.audit.chain import Head, timestamp
from dropslot.audit.event_payloads import Names
from dropslot.audit.models import Receipt
from dropslot.config.secrets import make_private
from dropslot.core.context import kept
from dropslot.core.names import escape
from dropslot.core.signing import sshsig
from dropslot.core.signing.signers import NAMESPACE

# Possible guarantees about an arrival's source; a receipt lists those that applied.
SOURCE_COMPARED = "source: compared before and after"
TIMES_SHIFTED = (
    "times: {count} with another time than at the source, which a destination or the record cannot hold"
)
MADE_ANEW = "items: {count} made anew, with other bytes than at the source"
SOURCE_LEASED = "source: under a lease while it was read"
BAG_VALIDATED = "bag: validated"
MOST_NAMED = 100  # entries that a receipt or event names, and how much of each path
LONGEST_NAME = 300


@dataclass(frozen=True, slots=True)
class Named:
    """Entries of an arrival that were not delivered: how many, and the names of the first."""

    count: int
    names: Sequence[str]

    @classmethod
    def of(cls, paths: Sequence[str]) -> Named | None:
        """None when there are none."""
        return cls(len(paths), [_shortened(escape(path)) for path in paths[:MOST_NAMED]]) if paths else None

    def body(self) -> Names:
        """As a JSON object."""
        return {"count": self.count, "names": list(self.names)}


@dataclass(frozen=True, slots=True)
class Summary:
    """The content of a receipt. Names are escaped; `manifests` maps each destination to its manifest's SHA-256."""

    arrival: str
    route: str
    name: str
    sender: str
    received_at: datetime
    finished_at: datetime
    outcomes: Mapping[str, int]  # "delivered": 12, "unchanged": 3
    manifests: Mapping[str, str]
    guarantees: Sequence[str]
    head: Head
    ignored: Named | None = None

    def body(self) -> dict[str, Any]:
        """As JSON has it; times UTC, ISO 8601 with Z."""
        return {
            "arrival": self.arrival,
            "route": self.route,
            "name": self.name,
            "sender": self.sender,
            "received_at": timestamp(self.received_at),
            "finished_at": timestamp(self.finished_at),
            "outcomes": dict(self.outcomes),
            "manifests": dict(self.manifests),
            "guarantees": list(self.guarantees),
            **({"ignored": self.ignored.body()} if self.ignored else {}),
            "head": self.head._asdict(),
            "dropslot": dropslot_version(),
        }


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"…{name[-LONGEST_NAME:]}"


def sign(body: Mapping[str, Any], folder: Path) -> Receipt:
    """An unsaved receipt over `body`, which needs the keys `arrival` and `head` ({"seq", "hash"}).

    The key is that in `folder`, made at first use. Raises keys.KeyFault.
    """
    text = canonical(body)
    signature = sshsig.sign(kept(_Keys)[folder], NAMESPACE, text.encode("utf-8"))
    return Receipt(arrival=body["arrival"], body=text, signature=signature)


@functools.cache
def dropslot_version() -> str:
    """The version that is installed; "unknown" when dropslot runs from a bare checkout."""
    try:
        return version("dropslot")
    except PackageNotFoundError:
        return "unknown"


class _Keys(dict[Path, Ed25519PrivateKey]):
    """The signing keys that were read, by their folder."""

    def __missing__(self, folder: Path) -> Ed25519PrivateKey:
        self[folder] = signing_key.receipt_key(folder)
        return self[folder]


FOLDER = "receipts"
_TAIL_BYTES = 1 << 20
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Kept:
    """One finished arrival. `about` has other data of its row, `listings` the manifests that are stored nowhere
    else."""

    body: str
    signature: str
    about: Mapping[str, Any] = field(default_factory=dict)
    listings: Mapping[str, str] = field(default_factory=dict)

    @property
    def receipt(self) -> dict[str, Any]:
        """What the receipt says."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    def saved(self) -> Receipt:
        """As a row of the database; unsaved."""
        return Receipt(arrival=self.receipt["arrival"], body=self.body, signature=self.signature)


def keep_outside(data: Path, month: datetime, several: Sequence[Kept]) -> None:
    """Append whole lines by one write. A failure is logged: no delivery waits for it."""
    lines = [
        json.dumps({"body": k.body, "signature": k.signature, "about": k.about, "listings": k.listings})
        for k in several
    ]
    path = data / FOLDER / f"{month:%Y-%m}.jsonl"
    try:
        # It begins with a line end, so that a line that a full disk cut off does not spoil the next one.
        _append(path, data, ("\n" + "\n".join(lines) + "\n").encode("ascii"))
    except OSError as error:
        line = "Receipts could not be kept beside the database, which has them"
        log.warning(line, action="receipts_not_kept", error=str(error), count=len(several))


def _append(path: Path, data: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileNotFoundError:
        make_private(path.parent, data)
        descriptor = os.open(path, flags, 0o600)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)


def read_outside(data: Path) -> Iterator[Kept]:
    """All kept receipts, the oldest first. Lines that cannot be read are logged and left out. Raises OSError."""
    for path in _files(data):
        with path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if kept := _kept(line, f"{path.name}:{number}"):
                    yield kept


def newest(data: Path) -> Kept | None:
    """The last kept receipt, found by reading only the end of one file. Raises OSError."""
    for path in reversed(_files(data)):
        with path.open("rb") as stream:
            size, tail = path.stat().st_size, 0
            while tail < size:  # a line may be longer than the part that is read first
                tail = 16 * tail or _TAIL_BYTES
                stream.seek(max(0, size - tail))
                for line in reversed(stream.read().split(b"\n")):
                    if kept := _kept(line, ""):
                        return kept
    return None


def find(data: Path, arrival: str) -> Kept | None:
    """The last one of an arrival; looks through all of them."""
    sign = arrival.encode("ascii", "replace")
    found = None
    for path in _files(data):
        with path.open("rb") as stream:
            for line in stream:
                if sign in line and (kept := _kept(line, "")) and kept.receipt["arrival"] == arrival:
                    found = kept
    return found


def _files(data: Path) -> list[Path]:
    folder = data / FOLDER
    return sorted(folder.glob("*.jsonl")) if folder.is_dir() else []


def _kept(line: bytes, where: str) -> Kept | None:
    if not line.strip():
        return None
    try:
        found = json.loads(line)
        kept = Kept(found["body"], found["signature"], found["about"], found["listings"])
        _ = kept.receipt["arrival"], kept.receipt["manifests"], kept.receipt["head"]["seq"]
    except (ValueError, KeyError, TypeError):
        if where:
            log.warning("A kept receipt cannot be read", action="receipt_unreadable", where=escape(where))
        return None
    return kept
