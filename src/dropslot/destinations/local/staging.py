"""The staging folder of one arrival and epoch: `.dropslot/stage/ID-EPOCH/` inside the folder of the delivery.

tree/      laid out like the home folder: items that are published
rest/      items that are staged (and hashed) but never published
manifests/ empty: tests that folders get their group and mode, if no other folder is made
manifest   written when all items have their names
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from dropslot.contents.base import Source
from dropslot.core.errors import DestinationUnready, DiskFull, Refused, StorageFault
from dropslot.core.names import RESERVED, escape
from dropslot.destinations.layout import REST, STAGE, TREE, Layout, epoch_of_stage, stage_name, taken_over
from dropslot.destinations.shared import Part
from dropslot.files import descriptors, faults, filesystems
from dropslot.files.copying import CREATE, Job, copy_items, fresh_hashes
from dropslot.files.descriptors import Folder
from dropslot.files.listing import Item, Listing
from dropslot.files.modes import Modes
from dropslot.files.sharing import copy_shared
from dropslot.files.writing.holes import allocated_bytes

T = TypeVar("T")

TRIAL_OF_MODES = "manifests"
_TRIAL = "trial."
FEW = 8  # up to this many files each is synced alone; above, the whole file system at once
_PROBE_FROM = 64
MOST_HOLES_BYTES = 256 * 1024**3  # hashing these takes some minutes
_opened = itertools.count()  # not in the process's context: no number may come again


class Stage:
    """An open staging folder. Made by `Stage.make`; if the folder is gone, its worker was taken over."""

    def __init__(self, home: Folder, epochs: Folder, folder: Folder, name: str) -> None:
        self.home, self.epochs, self.folder, self.name = home, epochs, folder, name
        self.opened = next(_opened)  # a sync reports errors of all writes since its descriptor was opened
        self.device = os.fstat(folder.fd).st_dev
        self.network = filesystems.is_network(filesystems.kind_of(folder.fd))
        self.kept: list[int] = []  # open files to sync one by one
        self.sync_all = False
        self.folders: list[str] = []  # in the stage, parents first
        self.unsynced = False
        self.failed = False

    @classmethod
    def make(cls, home: Folder, arrival: str, epoch: int, prefix: str) -> Stage:
        """The staging folder of this epoch, made if it is missing. Raises TakenOver if one of a later epoch exists."""
        name = stage_name(arrival, epoch, prefix)
        try:
            stage = cls(home, *_make_among_epochs(home, lambda epochs: _make_stage(epochs, name)), name)
        except OSError as error:
            raise faults.at_destination(error, f"making {RESERVED}/{STAGE}/{name}") from error
        # Make ours first, then look: of two workers at least one sees the other, and the older one yields.
        found = _of(os.listdir(stage.epochs.fd), arrival)
        if any(other > epoch for other, _ in found):
            stage.remove()
            raise taken_over(name)
        _remove_older(stage.epochs, found, epoch)
        return stage

    @classmethod
    def join(cls, home: Folder, arrival: str, epoch: int, prefix: str) -> Stage:
        """The staging folder that another worker has made. Raises TakenOver if it is gone."""
        name = stage_name(arrival, epoch, prefix)
        try:
            epochs = _private(home.beneath(f"{RESERVED}/{STAGE}"))
            return cls(home, epochs, epochs.beneath(name), name)
        except FileNotFoundError as error:
            raise taken_over(name) from error
        except OSError as error:
            raise faults.at_destination(error, f"opening {RESERVED}/{STAGE}/{name}") from error

    def expect(self, listing: Listing, layout: Layout) -> None:
        """Items of this listing will be staged: their folders are to be synced."""
        self.unsynced = True
        self.folders = sorted({layout.place(item.path.rpartition("/")[0]) for item in listing.items})

    def require(self) -> None:
        """Raise TakenOver when a later epoch has removed this folder, StorageFault when a sync of it failed."""
        if self.failed:
            raise StorageFault("A sync of the staged data failed before", next_step="It is staged again")
        if not self.is_there():
            raise taken_over(self.name)

    def is_there(self) -> bool:
        """Whether the folder still has its name."""
        try:
            seen, ours = descriptors.look(self.epochs.fd, self.name), os.fstat(self.folder.fd)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ESTALE):  # FUSE and NFS say this of a removed folder
                raise
            return False
        return seen is not None and (seen.st_dev, seen.st_ino) == (ours.st_dev, ours.st_ino)

    def remove(self) -> None:
        """Remove it, and hidden folders if they are empty; closes everything except the home."""
        try:
            descriptors.remove_folder(self.epochs.fd, self.name)
            _remove_empty(self.home)
        except OSError as error:
            raise faults.at_destination(error, f"removing {RESERVED}/{STAGE}/{self.name}") from error
        finally:
            self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close every descriptor; the folder stays."""
        while self.kept:
            os.close(self.kept.pop())
        self.epochs.close()
        self.folder.close()


def discard_older(home: Folder, arrival: str, epoch: int) -> None:
    """Remove every staging folder in `home` of earlier epochs of the arrival; this succeeds even while their workers
    still write. Also removes trial folders of killed processes."""
    try:
        hidden = home.beneath(f"{RESERVED}/{STAGE}")
    except FileNotFoundError:
        _remove_empty(home)  # a kill between the two removals leaves the outer folder
        return
    except OSError as error:
        raise faults.at_destination(error, f"opening {RESERVED}/{STAGE}") from error
    with hidden:
        try:
            names = os.listdir(hidden.fd)
            _remove_older(hidden, _of(names, arrival), epoch)
            if any(name.startswith(_TRIAL) for name in names):
                descriptors.remove_unlocked(hidden, _TRIAL)
            if all(name.startswith((arrival, _TRIAL)) for name in names):  # otherwise others use it
                _remove_empty(home)
        except FileNotFoundError:
            return  # another worker removed the empty folder
        except OSError as error:
            raise faults.at_destination(error, f"looking into {RESERVED}/{STAGE}") from error


def gains_by_helpers(stage: Stage) -> bool:
    """Whether other workers add to the rate: those of other machines, on shared storage, or those that use processors
    which this one, with its second process, leaves free."""
    used = min(2, len(os.sched_getaffinity(0)))
    return stage.network or (os.cpu_count() or 1) > used


def _of(names: Iterable[str], arrival: str) -> list[tuple[int, str]]:
    # Other arrivals of the batch have folders there, too.
    found = ((epoch_of_stage(arrival, name), name) for name in names if name.startswith(arrival))
    return [(epoch, name) for epoch, name in found if epoch is not None]


def _remove_older(epochs: Folder, found: Iterable[tuple[int, str]], epoch: int) -> None:
    for name in (name for older, name in found if older < epoch):
        try:
            descriptors.remove_folder(epochs.fd, name)
        except OSError as error:
            raise faults.at_destination(error, f"removing an older {RESERVED}/{STAGE}/{name}") from error


def _make_stage(epochs: Folder, name: str) -> Folder:
    descriptors.make(epochs.fd, name, 0o700)
    return epochs.beneath(name)


def _make_among_epochs(home: Folder, make: Callable[[Folder], T]) -> tuple[Folder, T]:
    """`.dropslot/stage` of the home, and the result of `make` in it. Folders are made by mkdir alone, so that they
    inherit setgid bit and default ACL."""
    for _ in range(100):  # another worker may remove the empty folder between any two calls
        with contextlib.suppress(FileNotFoundError):
            epochs = _private(home.beneath(f"{RESERVED}/{STAGE}"))
            return epochs, make(epochs)
        descriptors.make(home.fd, RESERVED)
        with contextlib.suppress(FileNotFoundError), home.beneath(RESERVED) as hidden:
            descriptors.make(hidden.fd, STAGE, 0o700)
    raise DestinationUnready(f"{RESERVED}/{STAGE} disappears again and again", next_step="It is retried")


def _private(epochs: Folder) -> Folder:
    """Refuse a staging folder that someone else made or may write to: they could exchange staged files."""
    seen = os.fstat(epochs.fd)
    if filesystems.kind_of(epochs.fd) in filesystems.WITHOUT_MODES:
        return epochs
    if seen.st_uid != os.geteuid() or stat.S_IMODE(seen.st_mode) & 0o022:
        raise DestinationUnready(
            f"{RESERVED}/{STAGE} belongs to user {seen.st_uid} with mode {stat.S_IMODE(seen.st_mode):o}",
            where="Nothing of the arrival was delivered",
            next_step="Only the service may be able to write to it: check what is in it, then remove it",
        )
    return epochs


def _remove_empty(home: Folder) -> None:
    """Remove `.dropslot/stage` and `.dropslot` when nothing is in them."""
    try:
        with home.beneath(RESERVED) as hidden, contextlib.suppress(FileNotFoundError):
            os.rmdir(STAGE, dir_fd=hidden.fd)
        os.rmdir(RESERVED, dir_fd=home.fd)
    except OSError as error:
        if error.errno not in (*descriptors.NOT_EMPTY, errno.ENOENT):
            raise


def begin(stage: Stage, source: Folder, listing: Listing, layout: Layout, modes: Modes) -> None:
    """Make every folder of the arrival in the stage if there is space for all of it. `source` is the arrival's folder,
    or the one that holds its single file. Raises DiskFull, StorageFault, DestinationUnready, Refused."""
    require_space(stage.folder.fd, listing, source.fd)
    stage.unsynced = True
    _make_folders(stage, listing, layout, modes)


def _make_folders(stage: Stage, listing: Listing, layout: Layout, modes: Modes) -> None:
    """Make every folder of the tree, parents first. Group and mode are set at once, so that entries inside inherit
    them."""
    try:
        _make(stage, TREE, Modes())
        at = ""
        for part in layout.base.split("/")[1:]:
            at = f"{at}/{part}"
            _make(stage, TREE + at, modes)
        if any(layout.published(item.path) is None for item in listing.items):
            _make(stage, REST, Modes())
        for path, _time in listing.folders:
            if (place := layout.place(path)) not in (TREE, layout.base):
                _make(stage, place, modes if layout.published(path + "/") else Modes())
        if modes.of_folders and not any(path.startswith(f"{TREE}/") for path in stage.folders):
            _make(
                stage, TRIAL_OF_MODES, modes
            )  # a fault of the manifest's folder shows before anything is published
    except OSError as error:
        raise faults.at_destination(error, "making the folders of the arrival") from error


def _make(stage: Stage, path: str, modes: Modes) -> None:
    parent, _, name = path.rpartition("/")
    with stage.folder.beneath(parent) as folder:
        # If it exists, an NFS server made it and its answer was lost: the stage is ours.
        descriptors.make(folder.fd, name, modes.new_folder)
        modes.of_folder(folder.fd, name)
        stage.folders.append(path)


@dataclass(frozen=True, slots=True)
class Filling:
    """How items are copied into the stage of one arrival. `again`: others may have left some of them.
    `beside_others`: the stage is another worker's, so that nothing but items may be made in it."""

    layout: Layout
    modes: Modes
    algorithms: Sequence[str]
    source: Source
    again: bool = False
    beside_others: bool = False

    def fill(self, stage: Stage, source: Folder, items: Sequence[Item]) -> Part:
        """Copy these items. Nothing is synced yet (`publishing.sync_staged`).

        `source` is the arrival's folder, or the one that holds its single file. If wanted, each item is read under a
        lease if the system grants one. Raises SourceChanged, SourceUnready, DiskFull, StorageFault, DestinationUnready,
        Refused.
        """
        stage.unsynced = True
        few = not stage.network and len(items) + len(stage.folders) <= FEW
        stage.sync_all = stage.sync_all or not (few or stage.network)
        job = self._job(stage, source, few, len(items))
        digests = copy_shared(job, items) if len(items) > 1 else copy_items(job, items)
        # NFS refuses a lease whenever it has no delegation; that does not mean that a writer exists.
        return Part(digests, job.unleased if job.lease else len(items))

    def _job(self, stage: Stage, source: Folder, few: bool, count: int) -> Job:
        return Job(
            source.fd,
            stage.folder.fd,
            self.layout.place,
            fresh_hashes(self.algorithms),
            self.modes if self.beside_others else _left_to_do(stage, self.layout, self.modes, count),
            sync_each=stage.network,
            keep_open=few,
            early_sync=not few and not stage.network,
            lease=self.source.lease and not filesystems.is_network(filesystems.kind_of(source.fd)),
            again=self.again,
            pause=self.source.pause,
            kept=stage.kept,
        )


def _left_to_do(stage: Stage, layout: Layout, modes: Modes, items: int) -> Modes:
    """The modes still to set. For many items: make one file and see what its folder gives it, which saves two calls for
    each item."""
    if items < _PROBE_FROM:
        return modes
    try:
        with stage.folder.beneath(layout.base) as folder:
            mode = 0o666 if modes.file_mode is None else modes.file_mode & 0o777
            name = f"probe-{secrets.token_hex(8)}"  # no folder of the arrival, made before, has this name
            fd = os.open(name, CREATE, mode, dir_fd=folder.fd)
            try:
                return modes.left_to_do(os.fstat(fd))
            finally:
                os.close(fd)
                os.unlink(name, dir_fd=folder.fd)
    except OSError as error:
        raise faults.at_destination(error, "making a file in the staging folder") from error


def set_times(stage: Stage, listing: Listing, layout: Layout) -> None:
    """Set the folders' mtimes after everything in them is made; children first."""
    try:
        for path, time in reversed(listing.folders):
            place = layout.place(path)
            if place != layout.base:
                with stage.folder.beneath(place) as folder:
                    os.utime(folder.fd, ns=(time, time))
    except OSError as error:
        raise faults.at_destination(error, "setting the times of folders") from error


def require_space(folder: int, listing: Listing, source: int) -> None:
    """Raise Refused if the arrival is larger than the whole file system, DiskFull if larger than the free space.

    Holes of sparse items count only if reading them would take too long.
    """
    disk = os.fstatvfs(folder)
    total, free = disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize
    size = listing.size_bytes
    if total and size > free and size <= max(total, MOST_HOLES_BYTES):
        size = allocated_bytes(source, listing)
    if total and size > total:
        largest = max(listing.items, key=lambda item: item.size_bytes)
        raise Refused(
            [
                f"{escape(largest.path)} ({largest.size_bytes:,} bytes) makes the arrival {size:,} bytes large, "
                f"and the destination's whole file system has {total:,}"
            ]
        )
    if total and size > free:
        raise _full(f"The arrival needs {size:,} bytes, and {free:,} are free at the destination")
    if disk.f_files and len(listing.items) + len(listing.folders) > disk.f_favail:
        raise _full(
            f"The arrival has {len(listing.items):,} items; the file system has {disk.f_favail:,} inodes free"
        )


def _full(what: str) -> DiskFull:
    return DiskFull(
        what, where="Nothing was written", next_step="Free space there; it is retried until it fits"
    )


@contextlib.contextmanager
def trial(home: Folder) -> Iterator[Folder]:
    """A private folder in the home for trials; it is removed afterwards. Raises DestinationUnready, DiskFull.

    It is locked while in use. One without a lock was left by a dead process; `discard_older` removes it.
    """
    try:
        epochs, (name, folder) = _make_among_epochs(home, lambda at: descriptors.make_locked(at, _TRIAL))
        with epochs:
            try:
                with folder:
                    yield folder
            finally:
                descriptors.remove_folder(epochs.fd, name)
                _remove_empty(home)
    except OSError as error:
        raise faults.at_destination(error, f"trying {RESERVED}/{STAGE}") from error
