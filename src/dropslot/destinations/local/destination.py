"""A folder on this machine, or one that is mounted."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from typing import cast

from dropslot.core.errors import Unsupported
from dropslot.core.fullness import Capacity
from dropslot.core.names import escape
from dropslot.destinations.base import Destination, Drop, Found, Target
from dropslot.destinations.local import capacity, publishing, renaming, staging
from dropslot.destinations.local.drop import LocalDrop
from dropslot.destinations.local.targets import Place, open_place
from dropslot.destinations.spelling import pairs_folded
from dropslot.files import faults, filesystems, folder_probe
from dropslot.files.descriptors import Folder
from dropslot.files.modes import Modes
from dropslot.files.regular_files import chunks_of, open_regular


class Local(Destination):
    """Delivers into folders by descriptors, never through a link below the fixed part of the target."""

    answers_at_once = True
    can_rename = True

    def __init__(self) -> None:
        self._kept: set[tuple[int | None, ...]] = (
            set()
        )  # file systems, with modes that a trial showed to stay there

    def check(self, target: Target) -> None:
        self._checked_place(target).home.close()

    def _checked_place(self, target: Target) -> Place:
        rules = target.rules
        if rules.folder_mode is not None and rules.folder_mode & stat.S_IRWXU != stat.S_IRWXU:
            raise Unsupported(
                f"folder_mode {rules.folder_mode:o} takes away the service's own rights",
                next_step="Let the owner keep rwx, as in 2750",
            )
        modes = Modes.resolve(rules.group, rules.file_mode, rules.folder_mode)
        place = open_place(target)
        try:
            self._check_home(place, modes)
        except BaseException:
            place.home.close()
            raise
        return place

    def _check_home(self, place: Place, modes: Modes) -> None:
        shown = escape(place.path)
        if os.fstatvfs(place.home.fd).f_flag & os.ST_RDONLY:
            error = OSError(errno.EROFS, os.strerror(errno.EROFS))
            raise faults.at_destination(error, f"looking at {shown}")
        if not os.access(".", os.W_OK | os.X_OK, dir_fd=place.home.fd, effective_ids=True):
            error = OSError(errno.EACCES, os.strerror(errno.EACCES))
            raise faults.at_destination(error, f"asking to write into {shown}")
        if not self._is_tried(place.home, modes):
            self._try_out(place, modes)

    def _is_tried(self, home: Folder, modes: Modes) -> bool:
        if not filesystems.is_known(home.fd):
            return False
        return not (modes.of_folders or modes.file_mode) or self._key(home, modes) in self._kept

    @staticmethod
    def _key(home: Folder, modes: Modes) -> tuple[int | None, ...]:
        return (os.fstat(home.fd).st_dev, modes.gid, modes.file_mode, modes.folder_mode)

    def _try_out(self, place: Place, modes: Modes) -> None:
        try:
            with staging.trial(place.home) as private:
                filesystems.naming_of(private.fd)
                modes.must_be_kept(private.fd)
        except Unsupported as error:
            what = (
                f"Nothing can be delivered to {escape(place.path)}: {error.what[0].lower()}{error.what[1:]}"
            )
            raise Unsupported(what, next_step=error.next_step) from error
        self._kept.add(self._key(place.home, modes))

    def open(self, target: Target, arrival: str, epoch: int, name: str) -> LocalDrop:
        return LocalDrop(self, target, arrival, epoch, name)

    def open_checked(self, target: Target, arrival: str, epoch: int, name: str) -> LocalDrop:
        place = self._checked_place(target)
        drop = self.open(target, arrival, epoch, name)
        drop.place = place
        return drop

    def sync_staged(self, drops: Sequence[Drop]) -> None:
        publishing.sync_staged([s for drop in drops if (s := cast(LocalDrop, drop).staging)])

    def sync_names(self, drops: Sequence[Drop]) -> None:
        ours = [cast(LocalDrop, drop) for drop in drops]
        stages = [drop.staging for drop in ours if drop.staging]
        touched = [folder for drop in ours for folder in drop.touched_folders()]
        try:
            publishing.sync_names(stages, touched)
        finally:
            for folder in touched:
                folder.close()
        for drop in ours:
            drop.names_are_durable()

    def publish_manifests(self, manifests: Sequence[tuple[Drop, str]]) -> list[str | None]:
        ours = [(cast(LocalDrop, drop), text) for drop, text in manifests]
        for drop, text in ours:
            drop.stage_manifest(text)
        self.sync_staged([drop for drop, _ in ours])
        names = [drop.name_manifest(text) for drop, text in ours]
        self.sync_names([drop for drop, _ in ours])
        return names

    def read(self, target: Target, name: str) -> Iterator[bytes]:
        fd = self.open_here(target, name)
        if fd is None:
            raise FileNotFoundError(errno.ENOENT, "no regular file", name)
        return chunks_of(fd, name)

    def open_here(self, target: Target, name: str) -> int | None:
        with open_place(target) as place:
            return None if place.missing else open_regular(place.home, name)

    def listing(self, target: Target, folder: str) -> dict[str, Found]:
        with open_place(target) as place:
            if place.missing:
                return {}
            try:
                with place.home.beneath(folder) as opened, os.scandir(opened.fd) as entries:
                    return dict(filter(None, map(_found, entries)))
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    return {}
                raise faults.at_destination(error, f"listing {escape(folder or place.path)}") from error

    def give_other_name(self, target: Target, name: str, new: str) -> bool:
        with open_place(target) as place:
            return not place.missing and renaming.give_other_name(place.home, name, new)

    def are_folders(self, urls: Sequence[str]) -> list[bool]:
        return [os.path.isdir(path) for path in urls]

    def path_here(self, url: str, name: str) -> str:
        return os.path.join(url, name)

    def identity(self, url: str, name: str) -> tuple[int, int]:
        seen = os.stat(self.path_here(url, name))
        return seen.st_dev, seen.st_ino

    def capacities(self, targets: Sequence[Target]) -> list[list[Capacity]]:
        looking = capacity.Looking()
        return [looking.at(target) for target in targets]

    def changed_at(self, target: Target, folder: str) -> float | None:
        try:
            return os.stat(self.path_here(target.url, folder)).st_mtime
        except OSError:
            return None

    def twins(self, target: Target, names: Sequence[str]) -> list[tuple[str, str]]:
        if not pairs_folded(names, case=True, form=True):
            return []
        with open_place(target) as place, staging.trial(place.home) as stage:
            try:
                case, form = folder_probe.folds_names(stage.fd)
            except OSError as error:
                raise faults.at_destination(
                    error, f"looking how names are folded in {escape(place.path)}"
                ) from error
        return pairs_folded(names, case=case, form=form)


def _found(entry: os.DirEntry[str]) -> tuple[str, Found] | None:
    try:
        seen = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None  # gone since it was listed
    kind = stat.S_ISDIR(seen.st_mode), stat.S_ISREG(seen.st_mode)
    return entry.name, Found(*kind, seen.st_size, seen.st_mtime_ns)
