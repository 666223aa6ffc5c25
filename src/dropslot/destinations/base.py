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
    destination.publish_manifests([(drop, text), …])     `.dropslot/manifests/ID.sha256`, synced
    drop.clean()                    the staging folder is removed

A drop holds descriptors or a connection: use it as a context manager, or call `close`, whatever happened.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Literal, NamedTuple, Self

from dropslot.config import Deliver
from dropslot.contents.base import Source, Staged
from dropslot.core.templates import Template

# What a destination that is no local disk proved of an arrival; its receipt lists what all of them did.
SIZE_COMPARED = "destination: size compared after the server's acknowledgment"
SYNCED = "destination: synced to the server's disk"
READ_BACK = "destination: read back and compared"


@dataclass(frozen=True, slots=True)
class Rules:
    """How files are laid down. Modes as integers (0o640); `None`: the umask and the parent folder decide."""

    group: str | None = None
    file_mode: int | None = None
    folder_mode: int | None = None
    manifest: str = "hidden"  # hidden: .dropslot/manifests/ID.sha256; beside: NAME.sha256 in the target; none

    @classmethod
    def of(cls, rule: Deliver) -> Rules:
        """Those of a rule, before there is an arrival: a group with fields in it is not known yet."""
        group = None if rule.group is None or Template(rule.group).fields else rule.group
        return cls(group, rule.file_mode, rule.folder_mode, rule.manifest)


@dataclass(frozen=True, slots=True)
class Target:
    """One resolved `to`: where the contents of one arrival go.

    `fixed` is the part before the first field: it must exist and is never created. `must_exist` likewise.
    """

    url: str  # what history shows and names are unique within: an absolute path, or sftp://…
    fixed: str
    must_exist: str | None = None
    rules: Rules = field(default_factory=Rules)

    @classmethod
    def fixed_part(cls, rule: Deliver) -> Target:
        """The folder before the first field of a rule, which is there before any arrival."""
        fixed = Template(rule.to).fixed
        return cls(url=fixed, fixed=fixed, rules=Rules.of(rule))


class Planned(NamedTuple):
    """One item and the name it is to get."""

    path: str  # as listed and staged: with the leading folder that `strip` takes off
    stored_as: str  # relative to the target
    sha256: str


class Stored(NamedTuple):
    """What is at a name now. `regular` is False for a folder, link or special file."""

    regular: bool
    size_bytes: int
    mtime_ns: int


class Found(NamedTuple):
    """One entry of a folder of a destination; no link is followed."""

    is_folder: bool
    regular: bool
    size_bytes: int
    mtime_ns: int


class Drop(ABC):
    """One arrival at one destination, for one epoch. Used by one process."""

    target: Target
    destination: Destination
    leased = False  # whether every item was staged under a lease of the source
    shifted = 0  # items whose time the destination or the record cannot hold: they have the nearest one

    @property
    def proved(self) -> frozenset[str] | None:
        """What was proved of the stored bytes; None: they are on a disk of this machine, synced."""
        return None

    @abstractmethod
    def discard_older(self) -> None:
        """Remove this arrival's staging folders of smaller epochs; after it their workers can publish nothing."""

    @abstractmethod
    def stage(self, source: Source, algorithms: Sequence[str] = ("sha256",), strip: str = "") -> list[Staged]:
        """Copy every item and folder of the source, in listing order, hashing the bytes that are written.

        `strip` is a leading folder ("data/" of a bag) taken off the paths under which items are published; items
        outside of it are staged (and hashed) but cannot be published. The listing must be without faults. Stages anew
        when called again. Raises SourceChanged when an item is not what was listed, SourceUnready, DiskFull,
        StorageFault, DestinationUnready, TakenOver, and Refused when it can never fit. After a crash nothing has a
        final name.
        """

    def open_staged(self, path: str) -> BinaryIO | None:  # noqa: ARG002
        """The staged bytes of one item, where they lie on a disk of this machine; else None, and checks read the source
        (`contents.local_bytes`): nothing is fetched back for them."""
        return None

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

        Also publishes empty folders. A target or folder that is wholly new, and all of whose items keep their names,
        is published by one rename. Items whose name is our own staged inode already, and items that are no longer
        staged while the name holds their SHA-256, count as published: after an error the same plan may be published
        again, also with other names for those that were returned. Raises TakenOver when the staging folder is gone,
        DestinationUnready when a folder of the target is a link, no folder, or was moved away.
        """

    @abstractmethod
    def keep(self, names: Sequence[str]) -> None:
        """Names (relative to the target) that an earlier attempt gave: it may have ended before they were synced, so
        `sync_names` syncs them too."""

    def publish_manifest(self, text: str) -> str | None:
        """`Destination.publish_manifests` for this drop alone."""
        return self.destination.publish_manifests([(self, text)])[0]

    @abstractmethod
    def clean(self) -> None:
        """Remove this epoch's staging folder (and the hidden folders that are empty then), and close."""

    @abstractmethod
    def close(self) -> None:
        """Give up descriptors and connections; what is staged stays. Again is fine."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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
    def publish_manifests(self, manifests: Sequence[tuple[Drop, str]]) -> list[str | None]:
        """Stage, sync, name and sync the manifests of whole arrivals; returns their names relative to the target.

        None: the rules want no manifest. The same manifest there already is fine; a name that something else has is
        never replaced, and the next version of it is taken. To be called when all names are durable (`sync_names`).
        """

    @abstractmethod
    def read(self, target: Target, name: str) -> Iterator[bytes]:
        """The bytes of a delivered file, for fixity; FileNotFoundError when it is gone."""

    @abstractmethod
    def listing(self, target: Target, folder: str) -> dict[str, Found]:
        """What is in `folder` ("" for the target itself) by name; empty when there is no such folder. No link below the
        fixed part is followed. Raises DestinationUnready and its like."""

    @abstractmethod
    def are_folders(self, urls: Sequence[str]) -> list[bool]:
        """Whether each of these addresses is a folder there now."""

    @abstractmethod
    def twins(self, target: Target, names: Sequence[str]) -> list[tuple[str, str]]:
        """Pairs of `names` that the destination would fold into one (case, NFC/NFD)."""


class Examined(NamedTuple):
    """What `doctor` says of a destination; `remedy` is ready to be pasted where it is a command."""

    level: Literal["ok", "warning", "error"]
    what: str
    remedy: str = ""


class Kind(ABC):
    """A kind of destination, registered under the scheme of its addresses (`dropslot.destinations.KINDS`): makes them,
    proves them before the start, and examines them for `doctor`. What config.yaml says of it alone is in
    `dropslot.config.delivering.OPTIONS`."""

    @abstractmethod
    def for_rule(self, rule: Deliver) -> Destination:
        """The destination of one entry of `deliver`: one object for all rules that say the same."""

    @abstractmethod
    def for_url(self, url: str) -> Destination:
        """The destination that a resolved target belongs to."""

    @abstractmethod
    def prove(self, rules: Sequence[Deliver], *, by_trial: bool) -> None:
        """Raise Unsupported or BadOption for permanent faults, before anything is taken; temporary ones are left to the
        delivery that hits them. `by_trial`: try it, whatever the place says of itself."""

    @abstractmethod
    def examine(self, rule: Deliver, warn_percent: float) -> Examined:
        """Look at the place of a rule and write there; warns from `warn_percent` full. Raises DropslotError, which says
        what is wrong and what to do."""

    @abstractmethod
    def close(self) -> None:
        """End what is kept open, before a fork; it is made anew when it is needed."""
