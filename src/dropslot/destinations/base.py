"""The contract of a destination: stage, look, publish without ever replacing, manifest last.

The pipeline (`dropslot.arrivals`) decides names and versions and keeps the database; a destination only moves bytes.
For one arrival and one destination it opens a `Drop`; several drops are synced together, so that a batch of small
arrivals costs one sync. The order of calls is

    drop.discard_older()            remove what earlier epochs staged
    drop.reconcile helpers          stored(), digest(): what is there already
    drop.stage(...)                 bytes into .dropslot/stage/ID-EPOCH/, hashed as they are written
    destination.sync_staged(drops)  data is on the disk
    drop.publish(plan)              names appear; none is ever replaced
    destination.sync_names(drops)   names are on the disk
    drop.publish_manifest(text)     `.dropslot/manifests/ID.sha256`, synced
    drop.clean()                    the staging folder is removed
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from dropslot.storage.listing import Listing


@dataclass(frozen=True, slots=True)
class Rules:
    """How files are laid down. Modes as integers (0o640); `None`: the umask and the parent folder decide."""

    group: str | None = None
    file_mode: int | None = None
    folder_mode: int | None = None
    manifest: str = "hidden"  # hidden: .dropslot/manifests/ID.sha256; beside: NAME.sha256 in the target; none


@dataclass(frozen=True, slots=True)
class Target:
    """One resolved `to`: where the contents of one arrival go.

    `fixed` is the part before the first field: it must exist and is never created. `must_exist` likewise.
    """

    url: str  # what history shows and names are unique within: an absolute path, or sftp://…
    fixed: str
    must_exist: str | None = None
    rules: Rules = field(default_factory=Rules)


class Staged(NamedTuple):
    """One staged item. `digests` maps algorithm ("sha256", "md5", …) to hex; sha256 is always there."""

    path: str
    size_bytes: int
    mtime_ns: int
    digests: Mapping[str, str]


class Planned(NamedTuple):
    """One item and the name it is to get, both relative to the target."""

    path: str  # as staged
    stored_as: str
    sha256: str


class Stored(NamedTuple):
    """What is at a name now. `regular` is False for a folder, link or special file."""

    regular: bool
    size_bytes: int
    mtime_ns: int


class Source(NamedTuple):
    """Where an arrival lies (its absolute path) and what it was seen to hold."""

    path: Path
    listing: Listing


class Drop(ABC):
    """One arrival at one destination, for one epoch. Used by one process."""

    target: Target

    @abstractmethod
    def discard_older(self) -> None:
        """Remove this arrival's staging folders of smaller epochs; after it their workers can publish nothing."""

    @abstractmethod
    def stage(self, source: Source, algorithms: Sequence[str] = ("sha256",), strip: str = "") -> list[Staged]:
        """Copy every item and folder of the source, in listing order, hashing the bytes that are written.

        `strip` is a leading folder ("data/" of a bag) taken off the paths under which items are published; items
        outside of it are staged (and hashed) but cannot be published. Raises SourceChanged when an item is not what
        was listed, DiskFull, StorageFault, DestinationUnready. After a crash nothing has a final name.
        """

    @abstractmethod
    def open_staged(self, path: str) -> BinaryIO:
        """The staged bytes of one item, for checks."""

    @abstractmethod
    def is_new(self) -> bool:
        """Whether the target folder does not exist yet, so that no name can be taken."""

    @abstractmethod
    def stored(self, name: str) -> Stored | None:
        """What is at `name` (relative to the target) now, without following a link; None: nothing."""

    @abstractmethod
    def digest(self, name: str) -> str | None:
        """SHA-256 (hex) of the regular file at `name`; None when there is none. Read without following links."""

    @abstractmethod
    def publish(self, plan: Sequence[Planned]) -> list[Planned]:
        """Give staged items their names; returns those whose name was taken by something else (nothing is replaced).

        Also publishes empty folders. A target or folder that is wholly new is published by one rename. Items whose
        name is our own staged inode already, and items that are no longer staged while the name holds their SHA-256,
        count as published. Raises TakenOver when the staging folder is gone.
        """

    @abstractmethod
    def publish_manifest(self, text: str) -> None:
        """Stage, sync and name the manifest of the whole arrival; the same manifest there already is fine."""

    @abstractmethod
    def clean(self) -> None:
        """Remove this epoch's staging folder (and the hidden folders that are empty then)."""


class Destination(ABC):
    """One kind of place, made from one entry of `deliver`."""

    @abstractmethod
    def check(self, target: Target) -> None:
        """Raise DestinationUnready (may heal) or Unsupported when nothing can be delivered to `target` now."""

    @abstractmethod
    def open(self, target: Target, arrival: str, epoch: int, name: str) -> Drop:
        """A drop for the arrival with this id; `name` (of the arrival) names a manifest `beside`."""

    @abstractmethod
    def sync_staged(self, drops: Sequence[Drop]) -> None:
        """Staged data of all these drops is durable on return. Raises StorageFault: stage again, never sync again."""

    @abstractmethod
    def sync_names(self, drops: Sequence[Drop]) -> None:
        """Published names of all these drops are durable on return."""

    @abstractmethod
    def read(self, target: Target, name: str) -> Iterator[bytes]:
        """The bytes of a delivered file, for fixity; FileNotFoundError when it is gone."""

    @abstractmethod
    def twins(self, target: Target, names: Sequence[str]) -> list[tuple[str, str]]:
        """Pairs of `names` that the destination would fold into one (case, NFC/NFD)."""
