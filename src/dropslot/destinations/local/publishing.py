"""Gives staged items their final names, by operations that cannot replace. A new folder needs only one of them. Data is
synced before the names are given, and names are synced after that.
"""

from __future__ import annotations

import errno
import functools
import os
import secrets
from collections import defaultdict
from collections.abc import Callable, Sequence

from dropslot.core.errors import DropslotError, StorageFault
from dropslot.core.names import RESERVED, escape
from dropslot.destinations.layout import TREE, Entry
from dropslot.destinations.local.staging import Stage
from dropslot.files import descriptors, faults, filesystems, syscalls
from dropslot.files.descriptors import Descent, Folder
from dropslot.files.filesystems import Naming
from dropslot.files.modes import Modes

MANIFESTS = f"{RESERVED}/manifests"


class Publication:
    """Publishes the tree of one stage into its home folder. Used once; `touched` holds the folders that got names."""

    def __init__(
        self, stage: Stage, naming: Naming, modes: Modes, digest: Callable[[str], str | None]
    ) -> None:
        self.stage, self.naming, self.modes, self._digest = stage, naming, modes, digest
        self.touched: set[str] = set()
        self._broken: set[str] = set()  # folders that cannot be published by one rename
        self.taken: list[Entry] = []

    def publish_new(self, prefix: str) -> bool:
        """Publish the whole tree by one rename of the topmost folder of `prefix`; False if that exists already."""
        self.stage.require()
        with self.stage.folder.beneath(TREE) as tree:
            self._from, self._to = Descent(tree.fd), Descent(self.stage.home.fd)
            return self._by_one_rename(prefix.partition("/")[0])

    def publish(
        self, staged_folders: Sequence[str], staged_items: int, entries: Sequence[Entry]
    ) -> list[Entry]:
        """Returns the entries whose name something else has.

        `staged_folders` are the folders of the tree that must exist afterwards, parents first. Raises TakenOver
        when the stage is gone, DestinationUnready when a folder of the target is a link or not a folder.
        """
        self.stage.require()
        self._plan(staged_folders, staged_items, entries)
        with self.stage.folder.beneath(TREE) as tree:
            self._from, self._to = Descent(tree.fd), Descent(self.stage.home.fd)
            try:
                self._prove()
                self._fill("")
            finally:
                self._from.close()
                self._to.close()
        return self.taken

    def _plan(self, staged_folders: Sequence[str], staged_items: int, entries: Sequence[Entry]) -> None:
        self._entries: dict[str, list[Entry]] = defaultdict(list)
        for entry in entries:
            self._entries[entry.final.rpartition("/")[0]].append(entry)
        if len(entries) != staged_items or any(entry.staged != entry.final for entry in entries):
            self._find_broken(entries)
        self._inner: dict[str, list[str]] = defaultdict(list)
        known = {""}
        for path in (*staged_folders, *self._entries):
            while path not in known:
                known.add(path)
                parent = path.rpartition("/")[0]
                self._inner[parent].append(path)
                path = parent

    def _find_broken(self, entries: Sequence[Entry]) -> None:
        with self.stage.folder.beneath(TREE) as tree:
            staged = set(_files_beneath(tree.fd, ""))
        staged -= {entry.staged for entry in entries if entry.staged == entry.final}
        moved = (e for e in entries if e.staged != e.final)
        for path in (*staged, *(p for e in moved for p in (e.staged, e.final))):
            while path := path.rpartition("/")[0]:
                self._broken.add(path)

    def _prove(self) -> None:
        """Raise DestinationUnready if a folder of the target cannot take names, before any item has its name."""
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            there = [inner for inner in self._inner.get(folder, ()) if self._is_there(inner)]
            # `check` has already proved that the home can be written.
            if folder and (folder in self._entries or len(there) < len(self._inner.get(folder, ()))):
                self._must_take_names(folder)
            waiting += there

    def _is_there(self, path: str) -> bool:
        try:
            self._to.fd(path)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._fault(error, path) from error
        return True

    def _must_take_names(self, path: str) -> None:
        try:
            fd = self._to.fd(path)
            foreign = os.fstat(fd).st_dev != self.stage.device
            writable = os.access(".", os.W_OK | os.X_OK, dir_fd=fd, effective_ids=True)
        except OSError as error:
            raise self._fault(error, path) from error
        if foreign or not writable:
            number = errno.EXDEV if foreign else errno.EACCES
            raise self._fault(OSError(number, os.strerror(number)), path)

    def _fill(self, folder: str) -> None:
        """Publish into this folder, which exists: its folders first, then its items."""
        for inner in self._inner.get(folder, ()):
            if not self._by_one_rename(inner):
                self._ensure(inner)
                self._fill(inner)
        for entry in self._entries.get(folder, ()):
            self._name(folder, entry)

    def _by_one_rename(self, path: str) -> bool:
        """Publish a new folder that keeps all its names by one rename, with all its contents."""
        if self.naming is not Naming.RENAME or path in self._broken:
            return False
        parent, _, name = path.rpartition("/")
        try:
            syscalls.rename_no_replace(self._from.fd(parent), name, self._to.fd(parent), name)
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOENT, errno.ENOTDIR):
                return False  # foreign, or published before a crash: going entry by entry finds out
            raise self._fault(error, path) from error
        self.touched.add(parent)
        return True

    def _ensure(self, path: str) -> None:
        """Make sure that a real folder is at `path`. A new one is made in the stage: a worker that was taken over then
        cannot make it."""
        parent, _, name = path.rpartition("/")
        try:
            above = self._to.fd(parent)
            if not descriptors.exists(above, name):
                self._make(above, name)
                self.touched.add(parent)
            self._to.fd(path)
        except OSError as error:
            raise self._fault(error, path) from error

    def _make(self, above: int, name: str) -> None:
        if self.naming is not Naming.RENAME:
            # Not made in the stage and renamed: some FUSE programs' rename replaces a folder with its contents.
            self.stage.require()
            if descriptors.make(above, name, self.modes.new_folder):
                self.modes.of_folder(above, name)
            return
        new = f"new-{secrets.token_hex(8)}"
        descriptors.make(self.stage.folder.fd, new, self.modes.new_folder)
        self.modes.of_folder(self.stage.folder.fd, new)
        try:
            syscalls.rename_no_replace(self.stage.folder.fd, new, above, name)
        except FileExistsError:
            os.rmdir(new, dir_fd=self.stage.folder.fd)  # somebody else has just made it: use theirs

    def _name(self, folder: str, entry: Entry) -> None:
        from_folder, _, name = entry.staged.rpartition("/")
        final = entry.final.rpartition("/")[2]
        try:
            to_fd = self._to.fd(folder)
            try:
                from_fd = self._from.fd(from_folder)
                given = give_name(self.naming, from_fd, name, to_fd, final) or self._is_ours(entry)
            except FileNotFoundError:
                self._must_be_ours(entry)
                given = True
        except OSError as error:
            raise self._fault(error, entry.final) from error
        if given:
            self.touched.add(folder)
        else:
            self.taken.append(entry)

    def _is_ours(self, entry: Entry) -> bool:
        """Whether the name already belongs to the file that an earlier try linked. The bytes decide, because some
        network and FUSE file systems (sshfs) give one file another inode number under each name."""
        return self.stage.network and not self.naming.renames and self._digest(entry.final) == entry.sha256

    def _must_be_ours(self, entry: Entry) -> None:
        """The entry is no longer staged: an earlier try of this worker published it, or the stage was removed."""
        self.stage.require()
        if self._digest(entry.final) != entry.sha256:
            raise StorageFault(
                f"{escape(entry.final)} is no longer staged or published",
                where="The source is untouched",
                next_step="Find out who else writes into the target; it is staged again",
            )

    def _fault(self, error: OSError, path: str) -> DropslotError:
        if isinstance(error, FileNotFoundError):
            self.stage.require()
        if error.errno in filesystems.LACKING:
            filesystems.forget(self.stage.device)
        return faults.no_folder_or(error, path, f"publishing {escape(path)}")


def give_name(naming: Naming, from_folder: int, name: str, to_folder: int, final: str) -> bool:
    """Give one staged file its final name; False when something else has it. Never replaces.

    After a crash the final name is absent or complete. EEXIST on the same file means that the name is ours: given
    before a crash, or by an NFS server whose answer was lost.
    """
    try:
        if naming.renames:
            syscalls.rename_no_replace(from_folder, name, to_folder, final)
        else:
            # link, not rename: rename would replace an earlier delivery.
            os.link(name, final, src_dir_fd=from_folder, dst_dir_fd=to_folder, follow_symlinks=False)
    except FileExistsError:
        return _same(from_folder, name, to_folder, final)
    return True


def _same(from_folder: int, name: str, to_folder: int, final: str) -> bool:
    staged, there = descriptors.look(from_folder, name), descriptors.look(to_folder, final)
    if staged is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    return there is not None and (staged.st_dev, staged.st_ino) == (there.st_dev, there.st_ino)


def _files_beneath(fd: int, prefix: str) -> list[str]:
    found = []
    with os.scandir(fd) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                with Folder(os.open(entry.name, descriptors.FOLDER, dir_fd=fd)) as inner:
                    found += _files_beneath(inner.fd, f"{prefix}{entry.name}/")
            else:
                found.append(prefix + entry.name)
    return found


FEW_SYNCS = 16
_NO_SYNC_HERE = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)  # some network file systems, for folders


def sync_staged(stages: Sequence[Stage]) -> None:
    """Sync data and folders of these stages to the disk. Raises StorageFault: stage again."""
    for group in _by_device([stage for stage in stages if stage.unsynced]):
        files = sum(len(stage.kept) for stage in group)
        inner = sum(len(stage.folders) + 1 for stage in group)
        whole = any(s.sync_all for s in group) or (not group[0].network and files + inner > FEW_SYNCS)
        _guarded(group, functools.partial(_whole if whole else _each, group))
        for stage in group:
            stage.unsynced = stage.sync_all = False
            stage.folders.clear()
            while stage.kept:
                os.close(stage.kept.pop())


def _by_device(stages: Sequence[Stage]) -> list[list[Stage]]:
    groups: dict[int, list[Stage]] = {}
    for stage in sorted(stages, key=lambda s: s.opened):
        groups.setdefault(stage.device, []).append(stage)
    return list(groups.values())


def _whole(group: Sequence[Stage]) -> None:
    syscalls.syncfs(group[0].folder.fd)  # opened before the writes: it reports their errors


def _each(group: Sequence[Stage]) -> None:
    for fd in (fd for stage in group for fd in stage.kept):
        syscalls.start_writeback(fd)  # start all, then wait for each
    for stage in group:
        for fd in stage.kept:
            os.fsync(fd)
        for path in (*reversed(stage.folders), ""):
            with stage.folder.beneath(path) as folder:
                sync_folder(folder.fd)


def sync_folder(fd: int) -> None:
    """fsync of a folder. Does nothing on file systems without it; their names are durable by other means or not at
    all."""
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in _NO_SYNC_HERE:
            raise


def sync_names(stages: Sequence[Stage], folders: Sequence[Folder]) -> None:
    """Sync the names in these folders to the disk. `stages` are those that published into them."""
    by_device: dict[int, dict[int, Folder]] = {}
    for folder in folders:
        seen = os.fstat(folder.fd)
        by_device.setdefault(seen.st_dev, {})[seen.st_ino] = folder
    whole = {group[0].device: group[0] for group in _by_device(stages)}
    for device, distinct in by_device.items():
        stage = whole.get(device)
        if stage and not stage.network and len(distinct) > FEW_SYNCS:
            _guarded(stages, functools.partial(syscalls.syncfs, stage.folder.fd))
        else:
            _guarded(stages, functools.partial(_folders, list(distinct.values())))


def _folders(folders: Sequence[Folder]) -> None:
    for folder in folders:
        sync_folder(folder.fd)


def _guarded(stages: Sequence[Stage], sync: Callable[[], object]) -> None:
    try:
        sync()
    except OSError as error:
        for stage in stages:
            stage.failed = True
        raise faults.sync_failed(error) from error


def require_manifests(home: Folder) -> None:
    """Raise if the folder of manifests in a target cannot be written, as when it is somebody else's: before any item
    has a name."""
    if os.access(MANIFESTS, os.W_OK | os.X_OK, dir_fd=home.fd, effective_ids=True):
        return
    path = MANIFESTS if descriptors.exists(home.fd, MANIFESTS) else RESERVED
    if not os.access(path, os.W_OK | os.X_OK, dir_fd=home.fd, effective_ids=True):
        error = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        raise faults.at_destination(error, f"asking to write into {path}")
