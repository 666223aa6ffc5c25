"""The staging folder of one arrival and epoch: `.dropslot/stage/ID-EPOCH/` inside the folder that is delivered to.

tree/      laid out like the home folder: what is published
rest/      items that are staged (and hashed) but never published
manifests/ empty: shows that folders get their group and mode, where no other is made
manifest   written when everything is named
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from dropslot.contents.base import NO_OTHERS, Staged
from dropslot.core.errors import DestinationUnready, DiskFull, Refused, StorageFault
from dropslot.core.names import RESERVED, escape
from dropslot.destinations.layout import REST, STAGE, TREE, Layout, epoch_of_stage, stage_name, taken_over
from dropslot.files import descriptors, faults, filesystems
from dropslot.files.copying import CREATE, Job, copy_items, fresh_hashes
from dropslot.files.descriptors import Folder
from dropslot.files.holes import allocated_bytes
from dropslot.files.listing import Listing
from dropslot.files.modes import Modes
from dropslot.files.sharing import copy_shared

T = TypeVar("T")

TRIAL_OF_MODES = "manifests"
_TRIAL = "trial."
MOST_HOLES_BYTES = 256 * 1024**3  # hashed in some minutes
FEW = 8  # up to here each file is synced by itself; above, the whole file system at once
_PROBE_FROM = 64
_opened = itertools.count()


class Stage:
    """An open staging folder. Made by `Stage.make`; its worker is taken over when the folder is gone."""

    def __init__(self, home: Folder, epochs: Folder, folder: Folder, name: str) -> None:
        self.home, self.epochs, self.folder, self.name = home, epochs, folder, name
        self.opened = next(_opened)  # a descriptor opened earlier sees the errors of later writes, too
        self.device = os.fstat(folder.fd).st_dev
        self.network = filesystems.is_network(filesystems.kind_of(folder.fd))
        self.kept: list[int] = []  # open files to be synced one by one
        self.sync_all = False
        self.folders: list[str] = []  # in the stage, parents first
        self.leased = False  # whether every item was read under a lease
        self.unsynced = False
        self.failed = False

    @classmethod
    def make(cls, home: Folder, arrival: str, epoch: int, prefix: str) -> Stage:
        """The staging folder of this epoch, made when it is not there. Raises TakenOver when a later one is there."""
        name = stage_name(arrival, epoch, prefix)
        try:
            stage = cls(home, *_make_among_epochs(home, lambda epochs: _make_stage(epochs, name)), name)
        except OSError as error:
            raise faults.at_destination(error, f"making {RESERVED}/{STAGE}/{name}") from error
        # Ours is made first, then looked: of two workers at least one sees the other, and the older one yields.
        found = _of(os.listdir(stage.epochs.fd), arrival)
        if any(other > epoch for other, _ in found):
            stage.remove()
            raise taken_over(name)
        _remove_older(stage.epochs, found, epoch)
        return stage

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
            if error.errno not in (errno.ENOENT, errno.ESTALE):  # what FUSE and NFS say of a removed folder
                raise
            return False
        return seen is not None and (seen.st_dev, seen.st_ino) == (ours.st_dev, ours.st_ino)

    def remove(self) -> None:
        """Remove it, and the hidden folders that are empty then; closes everything but the home."""
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
    """Remove every staging folder in `home` that an earlier epoch of the arrival made, and win against its worker;
    and the trials of processes that were killed in one."""
    try:
        hidden = home.beneath(f"{RESERVED}/{STAGE}")
    except FileNotFoundError:
        _remove_empty(home)  # a kill between the two folders leaves the outer one
        return
    except OSError as error:
        raise faults.at_destination(error, f"opening {RESERVED}/{STAGE}") from error
    with hidden:
        try:
            names = os.listdir(hidden.fd)
            _remove_older(hidden, _of(names, arrival), epoch)
            if any(name.startswith(_TRIAL) for name in names):
                descriptors.remove_unlocked(hidden, _TRIAL)
            if all(name.startswith((arrival, _TRIAL)) for name in names):  # else others are at work in it
                _remove_empty(home)
        except FileNotFoundError:
            return  # another worker removed the empty folder
        except OSError as error:
            raise faults.at_destination(error, f"looking into {RESERVED}/{STAGE}") from error


def _of(names: Iterable[str], arrival: str) -> list[tuple[int, str]]:
    # A batch has many arrivals there.
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
    """`.dropslot/stage` of the home and what `make` makes in it. By mkdir alone, so that setgid bit and default ACL are
    inherited."""
    for _ in range(100):  # another worker may remove the empty folder between any two calls
        with contextlib.suppress(FileNotFoundError):
            epochs = _private(home.beneath(f"{RESERVED}/{STAGE}"))
            return epochs, make(epochs)
        descriptors.make(home.fd, RESERVED)
        with contextlib.suppress(FileNotFoundError), home.beneath(RESERVED) as hidden:
            descriptors.make(hidden.fd, STAGE, 0o700)
    raise DestinationUnready(f"{RESERVED}/{STAGE} disappears again and again", next_step="It is retried")


def _private(epochs: Folder) -> Folder:
    """Refuse a staging folder that someone else made or may write to: they could exchange what is staged."""
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


def fill(
    stage: Stage,
    source: Folder,
    listing: Listing,
    layout: Layout,
    modes: Modes,
    algorithms: Sequence[str],
    *,
    lease: bool = False,
) -> bytes:
    """Copy the whole arrival into the stage; returns the items' digests joined. Nothing is synced yet (`syncing`).

    `source` is the arrival's folder, or the one that holds its single file; with `lease` each item is read under one,
    if there is one to be had (`Stage.leased` tells whether all were). Raises SourceChanged, SourceUnready,
    DiskFull, StorageFault, DestinationUnready, Refused.
    """
    require_space(stage.folder.fd, listing, source.fd)
    stage.unsynced = True
    _make_folders(stage, listing, layout, modes)
    few = not stage.network and len(listing.items) + len(stage.folders) <= FEW
    job = Job(
        source.fd,
        stage.folder.fd,
        layout.place,
        fresh_hashes(algorithms),
        _left_to_do(stage, layout, modes, len(listing.items)),
        sync_each=stage.network,
        keep_open=few,
        early_sync=not few and not stage.network,
        # NFS refuses a lease whenever it has no delegation: that says nothing about writers.
        lease=lease and not filesystems.is_network(filesystems.kind_of(source.fd)),
        kept=stage.kept,
    )
    stage.sync_all = not few and not stage.network
    digests = copy_shared(job, listing.items) if len(listing.items) > 1 else copy_items(job, listing.items)
    stage.leased = job.lease and not job.unleased
    _set_times(stage, listing, layout)
    return digests


def _make_folders(stage: Stage, listing: Listing, layout: Layout, modes: Modes) -> None:
    """Every folder of the tree, parents first, group and mode set at once so that what is made inside inherits them."""
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
            )  # what the manifest's folder needs fails before anything is published
    except OSError as error:
        raise faults.at_destination(error, "making the folders of the arrival") from error


def _make(stage: Stage, path: str, modes: Modes) -> None:
    parent, _, name = path.rpartition("/")
    with stage.folder.beneath(parent) as folder:
        # Taken: by an NFS server whose answer was lost, since the stage is ours.
        descriptors.make(folder.fd, name, modes.new_folder)
        modes.of_folder(folder.fd, name)
        stage.folders.append(path)


def _left_to_do(stage: Stage, layout: Layout, modes: Modes, items: int) -> Modes:
    """Many items: make one file and look what its folder already gives it, instead of two calls for each."""
    if items < _PROBE_FROM:
        return modes
    try:
        with stage.folder.beneath(layout.base) as folder:
            mode = 0o666 if modes.file_mode is None else modes.file_mode & 0o777
            name = f"probe-{secrets.token_hex(8)}"  # the folders of the arrival are there already: none is called so
            fd = os.open(name, CREATE, mode, dir_fd=folder.fd)
            try:
                return modes.left_to_do(os.fstat(fd))
            finally:
                os.close(fd)
                os.unlink(name, dir_fd=folder.fd)
    except OSError as error:
        raise faults.at_destination(error, "making a file in the staging folder") from error


def _set_times(stage: Stage, listing: Listing, layout: Layout) -> None:
    """The folders' mtimes, when nothing is made in them any more; children first."""
    try:
        for path, time in reversed(listing.folders):
            place = layout.place(path)
            if place != layout.base:
                with stage.folder.beneath(place) as folder:
                    os.utime(folder.fd, ns=(time, time))
    except OSError as error:
        raise faults.at_destination(error, "setting the times of folders") from error


def require_space(folder: int, listing: Listing, source: int) -> None:
    """Raise Refused when the arrival is larger than the whole file system, DiskFull when larger than what is free.

    Holes of sparse items count only where they are too large to be read in reasonable time.
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
    """A private folder in the home to try things out in; nothing stays. Raises DestinationUnready, DiskFull.

    It is locked while it is used: one without a lock is a dead process's, and goes with `discard_older`.
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


def staged_items(listing: Listing, algorithms: Sequence[str], digests: bytes) -> list[Staged]:
    """In listing order; `digests` are joined, in the order of `algorithms`, of which the first is sha256."""
    sizes = [hashlib.new(name, usedforsecurity=False).digest_size for name in algorithms]
    width = sum(sizes)
    if width == 32:
        new = tuple.__new__
        return [
            new(Staged, (item.path, item.size_bytes, item.mtime_ns, digests[at : at + 32].hex(), NO_OTHERS))
            for at, item in zip(range(0, len(digests), 32), listing.items, strict=True)
        ]
    staged = []
    for number, item in enumerate(listing.items):
        at = number * width
        found = {}
        for name, size in zip(algorithms, sizes, strict=True):
            found[name], at = digests[at : at + size].hex(), at + size
        staged.append(Staged(item.path, item.size_bytes, item.mtime_ns, found.pop("sha256"), found))
    return staged
