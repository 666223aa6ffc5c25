"""For places that take whole items, one for each request: an object store, or a receiver that only acknowledges.

`Spooled`: an arrival is staged on this machine, in `spool` of the data folder, by the code for local folders. So checks
read it there, the source is proved unchanged, and a worker that was taken over finds nothing to send. Publishing sends
each item. A kind implements how one item is sent and, if possible, how it is read.
`WholeItems`: the same for a kind that stages in a way of its own.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import threading
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, ClassVar, cast

from dropslot.config import current
from dropslot.contents.base import Source, Staged
from dropslot.core import manifests
from dropslot.core.errors import Unsupported
from dropslot.core.names import RESERVED, appended, escape, versioned
from dropslot.destinations.base import (
    ACKNOWLEDGED,
    ONLY_ACKNOWLEDGED,
    Destination,
    Drop,
    Found,
    Planned,
    Stored,
    Target,
)
from dropslot.destinations.layout import Layout, safe
from dropslot.destinations.local.destination import Local


class WholeItems(Destination):
    """A place whose answer to a request means that the item is whole and durable there."""

    # What its answers prove, for the receipt.
    proofs: frozenset[str] = frozenset({ACKNOWLEDGED})
    # How many items are sent at once, each by a thread.
    at_once: ClassVar[int] = 1

    def __init__(self, spool: Path | None = None) -> None:
        """`spool`: where arrivals are staged until they are sent; by default `spool` in the data folder."""
        self.spool = spool or current().data / "spool"

    @abstractmethod
    def send(self, target: Target, name: str, data: BinaryIO, sha256: str) -> bool:
        """Send one item under `name` (relative to the target): whole or not at all, and durable on return.

        False: something has that name already, and nothing was replaced. After a crash the same item may come once more
        under the same name. Raises DestinationUnready for temporary faults.
        """

    def sync_staged(self, drops: Sequence[Drop]) -> None:
        """Nothing to do: after a crash the source is still there to stage from."""

    def sync_names(self, drops: Sequence[Drop]) -> None:
        """Nothing to do: the answer to `send` means that the item is durable."""

    def publish_manifests(self, manifests: Sequence[tuple[Drop, str]]) -> list[str | None]:
        return [cast(WholeItemsDrop, drop).send_manifest(text) for drop, text in manifests]

    def are_folders(self, urls: Sequence[str]) -> list[bool]:
        return [bool(self.listing(Target(url, url), "")) for url in urls]


class Spooled(WholeItems):
    """Such a place, for which an arrival is staged on this machine."""

    def open(self, target: Target, arrival: str, epoch: int, name: str) -> SpooledDrop:
        return SpooledDrop(self, target, arrival, epoch, name)


class Receiver(Spooled):
    """A place that acknowledges items but cannot list or return them."""

    can_be_read = False

    def read(self, target: Target, name: str) -> Iterator[bytes]:
        raise Unsupported(f"{target.url} only acknowledges: {escape(name)} cannot be read back")

    def listing(self, target: Target, folder: str) -> dict[str, Found]:  # noqa: ARG002
        return {}


class WholeItemsDrop(Drop):
    """One arrival on its way to such a place; how it is staged is left open."""

    destination: WholeItems

    def __init__(self, destination: WholeItems, target: Target, arrival: str, epoch: int, name: str) -> None:
        self.destination, self.target = destination, target
        self.arrival, self.epoch, self.name = arrival, epoch, name
        self._layout = Layout("", "")

    @property
    def proved(self) -> frozenset[str]:
        only = frozenset[str]() if self.destination.can_be_read else {ONLY_ACKNOWLEDGED}
        return self.destination.proofs | only

    @abstractmethod
    def require_stage(self) -> None:
        """Raise TakenOver if another worker has the arrival now."""

    @abstractmethod
    def send_staged(self, planned: Planned) -> bool:
        """Send one staged item: see `WholeItems.send`. Raises TakenOver."""

    # Looking

    def is_new(self) -> bool:
        return not self.destination.listing(self.target, "")

    def stored(self, name: str) -> Stored | None:
        folder, _, last = safe(name).rpartition("/")
        found = self.destination.listing(self.target, folder).get(last)
        return Stored(found.regular, found.size_bytes, None) if found else None

    def digest(self, name: str) -> str | None:
        hasher = hashlib.sha256()
        stored = self.stored(name)
        if stored is None or not stored.regular:
            return None
        try:
            for block in self.destination.read(self.target, name):
                hasher.update(block)
        except FileNotFoundError:
            return None
        return hasher.hexdigest()

    # Publishing

    def publish(self, plan: Sequence[Planned]) -> list[Planned]:
        for planned in plan:
            if self._layout.published(planned.path) is None:
                raise ValueError(f"{escape(planned.path)} lies outside of what is published")
        return self.send(plan)

    def send(self, plan: Sequence[Planned]) -> list[Planned]:
        """Send these items; returns those whose name something else has taken."""
        if self.destination.at_once == 1 or len(plan) < 2:
            return [planned for planned in plan if not self._is_sent(planned)]
        with ThreadPoolExecutor(min(self.destination.at_once, len(plan)), "dropslot-items") as pool:
            return [
                planned for planned, sent in zip(plan, pool.map(self._is_sent, plan), strict=True) if not sent
            ]

    def _is_sent(self, planned: Planned) -> bool:
        """Whether the name has these bytes now; an earlier attempt may have sent them."""
        safe(planned.stored_as)
        return self.send_staged(planned) or self.digest(planned.stored_as) == planned.sha256

    def keep(self, names: Sequence[str]) -> None:
        """Nothing to do: they were durable when they were sent."""

    def send_manifest(self, text: str) -> str | None:
        """Send the manifest of the whole arrival under the first free name; returns that name."""
        where = self.target.rules.manifest
        if where == "none" or not self.destination.can_be_read:
            return None
        self.require_stage()
        data, hidden = manifests.encode(text), where == "hidden"
        base = f"{self.arrival}.sha256" if hidden else appended(self.name, ".sha256")
        names = (versioned(base, version) for version in itertools.count(1))
        paths = (f"{RESERVED}/manifests/{name}" if hidden else name for name in names)
        sha256 = hashlib.sha256(data).hexdigest()
        return next(path for path in paths if self._has(path, data, sha256))

    def _has(self, name: str, data: bytes, sha256: str) -> bool:
        sent = self.destination.send(self.target, safe(name), io.BytesIO(data), sha256)
        return sent or self.digest(name) == sha256


class SpooledDrop(WholeItemsDrop):
    """One arrival that is staged on this machine."""

    destination: Spooled

    def __init__(self, destination: Spooled, target: Target, arrival: str, epoch: int, name: str) -> None:
        super().__init__(destination, target, arrival, epoch, name)
        spool = str(destination.spool)
        self._opening = threading.Lock()  # opening moves from folder to folder
        self._staged = Local().open(Target(f"{spool}/{apart(target)}", spool), arrival, epoch, name)

    def discard_older(self) -> None:
        self.destination.spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._staged.discard_older()

    def stage(self, source: Source, algorithms: Sequence[str] = ("sha256",), strip: str = "") -> list[Staged]:
        self.destination.spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._layout = Layout("", strip)
        staged = self._staged.stage(source, algorithms, strip)
        self.leased, self.shifted = self._staged.leased, self._staged.shifted
        return staged

    def open_staged(self, path: str) -> BinaryIO:
        with self._opening:
            return self._staged.open_staged(path)

    def require_stage(self) -> None:
        if self._staged.staging:
            self._staged.staging.require()

    def send_staged(self, planned: Planned) -> bool:
        with self.open_staged(planned.path) as data:  # raises TakenOver if it is gone
            return self.destination.send(self.target, planned.stored_as, data, planned.sha256)

    def clean(self) -> None:
        self._staged.clean()

    def close(self) -> None:
        self._staged.close()


def apart(target: Target) -> str:
    """A folder that is never made: it keeps the stages of one arrival's destinations apart."""
    return hashlib.sha256(target.url.encode(errors="surrogateescape")).hexdigest()
