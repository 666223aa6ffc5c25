"""One arrival on its way into a local folder: from its staging folder to its names."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from dropslot.contents.base import Source, Staged
from dropslot.core import manifests
from dropslot.core.errors import DestinationUnready
from dropslot.core.names import appended, escape, versioned
from dropslot.destinations.base import Planned, Stored, Target
from dropslot.destinations.layout import Entry, Layout, every, published_items, staged_items
from dropslot.destinations.local import publishing, staging
from dropslot.destinations.local.publishing import MANIFESTS, Publication
from dropslot.destinations.local.staging import Stage
from dropslot.destinations.local.targets import Place, homes, kept_folders, open_place, require_home
from dropslot.destinations.shared import Part, SharedDrop, elsewhere
from dropslot.files import descriptors, faults, filesystems, listing
from dropslot.files.copying import CREATE
from dropslot.files.descriptors import Descent, Folder
from dropslot.files.listing import Listing, without_collection
from dropslot.files.modes import Modes
from dropslot.files.regular_files import open_regular, open_regular_in, sha256_of
from dropslot.files.syscalls import write_all

if TYPE_CHECKING:
    from dropslot.destinations.local.destination import Local

MANIFEST = "manifest"


class LocalDrop(SharedDrop):
    """Holds descriptors of the home folder, the stage and the target; every write goes through one of them."""

    def __init__(self, destination: Local, target: Target, arrival: str, epoch: int, name: str) -> None:
        self.destination, self.target = destination, target
        self.arrival, self.epoch, self.name = arrival, epoch, name
        self.staging: Stage | None = None
        self.place: Place | None = None  # of the target, if it was found already
        self._home: Folder | None = None
        self._prefix = ""  # from the home to the target
        self._source = Source(Path(), Listing(is_folder=True))
        self._algorithms: tuple[str, ...] = ()
        self._joined = False  # the staging is another worker's
        self._layout = Layout("", "")
        self._touched: set[str] = set()  # folders below the home with names that are not durable yet
        self._kept: set[str] = set()  # folders below the target with names of an earlier attempt
        self._manifest: str | None = None
        self._seen: tuple[Folder, Descent] | None = None
        self._staged: Descent | None = None

    @property
    def _modes(self) -> Modes:
        rules = self.target.rules
        return Modes.resolve(rules.group, rules.file_mode, rules.folder_mode)

    # Staging

    def discard_older(self) -> None:
        try:
            opened = homes(self.target)
        except OSError as error:
            raise faults.at_destination(error, f"opening {escape(self.target.fixed)}") from error
        for home in opened:
            with home:
                staging.discard_older(home, self.arrival, self.epoch)

    @property
    def prefix(self) -> str:
        return self._prefix

    @property
    def gains(self) -> bool:
        return staging.gains_by_helpers(self._require_stage())

    def stage(self, source: Source, algorithms: Sequence[str] = ("sha256",), strip: str = "") -> list[Staged]:
        self.begin(source, algorithms, strip)
        return self.end([self.stage_items(0, len(source.listing.items))])

    def begin(self, source: Source, algorithms: Sequence[str], strip: str) -> None:
        if source.listing.faults:
            raise ValueError("a listing with faults is never staged")
        stage = self._make_stage(anew=True)
        self._source, self._layout = source, Layout(self._prefix, strip)
        self._algorithms = every(algorithms)
        with source.open() as folder:
            staging.begin(stage, folder, source.listing, self._layout, self._modes)

    def join(self, source: Source, algorithms: Sequence[str], strip: str, prefix: str) -> None:
        place = open_place(self.target)
        self._home, self._prefix, self._joined = place.home, place.missing, True
        if place.missing != prefix:
            raise elsewhere()
        self._source, self._layout = source, Layout(prefix, strip)
        self._algorithms = every(algorithms)
        self.staging = Stage.join(place.home, self.arrival, self.epoch, prefix)
        self.staging.expect(source.listing, self._layout)

    def stage_items(self, start: int, stop: int, *, again: bool = False) -> Part:
        items = self._source.listing.items[start:stop]
        settings = (self._layout, self._modes, self._algorithms)
        with self._source.open() as folder:
            filling = staging.Filling(*settings, self._source, again=again, beside_others=self._joined)
            return filling.fill(self._require_stage(), folder, items)

    def end(self, parts: Sequence[Part]) -> list[Staged]:
        source = self._source
        staging.set_times(self._require_stage(), source.listing, self._layout)
        self.leased = source.lease and not sum(part.unleased for part in parts)
        with without_collection():
            staged = staged_items(source.listing, self._algorithms, b"".join(part.digests for part in parts))
        self.shifted = self._shift(staged, listing.unusual(source.listing.items))
        return staged

    def _shift(self, staged: list[Staged], unusual: Sequence[int]) -> int:
        """Give these items times that the record can hold. Returns how many times differ from the source."""
        shifted = 0
        for at in unusual:
            item = staged[at]
            with self.open_staged(item.path) as stream:
                shifted += not listing.is_kept(item.mtime_ns, os.fstat(stream.fileno()).st_mtime_ns)
            staged[at] = item._replace(mtime_ns=listing.storable(item.mtime_ns))
        return shifted

    def _make_stage(self, *, anew: bool = False) -> Stage:
        if self.staging and anew:
            self.clean()
        if self.staging is None:
            place, self.place = self.place or open_place(self.target), None
            self._home, self._prefix = place.home, place.missing
            self._layout = Layout(self._prefix, "")
            self.staging = Stage.make(place.home, self.arrival, self.epoch, place.missing)
        return self.staging

    def open_staged(self, path: str) -> BinaryIO:
        stage = self._require_stage()
        if self._staged is None:
            self._staged = Descent(stage.folder.fd)
        try:
            fd = open_regular_in(self._staged, self._layout.path(path))
        except OSError as error:
            raise faults.at_destination(error, f"reading {escape(path)}") from error
        if fd is None:
            stage.require()
            raise FileNotFoundError(f"{escape(path)} is not staged")
        return os.fdopen(fd, "rb")

    def _require_stage(self) -> Stage:
        if self.staging is None:
            raise RuntimeError("nothing is staged by this drop")
        return self.staging

    # Looking

    def is_new(self) -> bool:
        with open_place(self.target) as place:
            return bool(place.missing)

    def stored(self, name: str) -> Stored | None:
        descent = self._looking()
        if descent is None:
            return None
        folder, _, last = name.rpartition("/")
        try:
            seen = descriptors.look(descent.fd(folder), last)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise faults.no_folder_or(error, folder, f"looking at {escape(name)}") from error
        return Stored(stat.S_ISREG(seen.st_mode), seen.st_size, seen.st_mtime_ns) if seen else None

    def digest(self, name: str) -> str | None:
        descent = self._looking()
        try:
            fd = open_regular_in(descent, name) if descent else None
        except OSError as error:
            raise faults.at_destination(error, f"reading {escape(name)}") from error
        return None if fd is None else sha256_of(fd, name)

    def _looking(self) -> Descent | None:
        """Opens folders of the target; None while it does not exist."""
        if self._seen is None:
            place = open_place(self.target)
            if place.missing:
                place.home.close()
                return None
            self._seen = (
                place.home,
                Descent(place.home.fd),
            )  # opened once: the target stays once it is there
        return self._seen[1]

    # Publishing

    def publish(self, plan: Sequence[Planned]) -> list[Planned]:
        stage = self._require_stage()
        stage.require()
        if stage.unsynced:
            raise RuntimeError("the staged data is not durable yet: sync_staged comes first")
        self._must_be_home()
        if self.target.rules.manifest == "hidden" and self._home and not self._prefix:
            publishing.require_manifests(self._home)
        publication = Publication(stage, self._naming(stage), self._modes, self._digest_below_home)
        try:
            if self._is_whole(plan) and publication.publish_new(self._prefix):
                return []
            entries = [self._entry(planned) for planned in plan]
            taken = publication.publish(self._folders(), self._count(), entries)
        finally:
            self._touched |= publication.touched
        self._must_be_home()
        left = {entry.final for entry in taken}
        return (
            [planned for planned, entry in zip(plan, entries, strict=True) if entry.final in left]
            if left
            else []
        )

    def keep(self, names: Sequence[str]) -> None:
        self._kept |= {name.rpartition("/")[0] for name in names}

    def _is_whole(self, plan: Sequence[Planned]) -> bool:
        """Whether the target was new at staging and the plan has every item under its own name."""
        if not self._prefix or len(plan) != self._count():
            return False
        if not self._layout.strip:
            return all(planned.path == planned.stored_as for planned in plan)
        return all(self._layout.published(planned.path) == planned.stored_as for planned in plan)

    def _entry(self, planned: Planned) -> Entry:
        path = self._layout.published(planned.path)
        if path is None:
            raise ValueError(f"{escape(planned.path)} lies outside of what is published")
        if planned.stored_as != path and not {"", ".", ".."}.isdisjoint(planned.stored_as.split("/")):
            raise ValueError(f"{escape(planned.stored_as)} is not a path inside the target")
        return Entry(self._below_home(path), self._below_home(planned.stored_as), planned.sha256)

    def _below_home(self, path: str) -> str:
        return f"{self._prefix}/{path}" if self._prefix else path

    def _folders(self) -> list[str]:
        """Every folder that must exist below the home, parents first."""
        folders = self._source.listing.folders
        published = (self._layout.published(f"{path}/") for path, _ in folders)
        inner = [self._below_home(path.rstrip("/")) for path in published if path]
        return [self._prefix, *inner] if self._prefix else inner

    def _count(self) -> int:
        return sum(1 for _ in published_items(self._source.listing, self._layout))

    def _naming(self, stage: Stage) -> filesystems.Naming:
        try:
            return filesystems.naming_of(stage.folder.fd)
        except OSError as error:
            stage.require()
            raise faults.at_destination(error, "trying how to name files") from error

    def _digest_below_home(self, path: str) -> str | None:
        assert self._home
        fd = open_regular(self._home, path)
        return None if fd is None else sha256_of(fd, path)

    def _must_be_home(self) -> None:
        assert self._home
        require_home(self._home, self.target)

    def touched_folders(self) -> list[Folder]:
        """Folders with names that are not durable yet; the caller closes them."""
        assert self._home or not self._touched
        try:
            return (
                [
                    *kept_folders(self.target, self._kept),
                    *(self._home.beneath(p) for p in sorted(self._touched)),
                ]
                if self._home
                else []
            )
        except OSError as error:
            raise faults.at_destination(error, "opening a folder of the target to sync it") from error

    def names_are_durable(self) -> None:
        """Called when `touched_folders` are synced."""
        self._touched.clear()
        self._kept.clear()

    # The manifest

    def stage_manifest(self, text: str) -> None:
        if self.target.rules.manifest == "none" or self._manifest == text:
            return
        stage = self._make_stage()
        stage.require()
        try:
            self._write_manifest(stage, manifests.encode(text))
        except OSError as error:
            stage.require()
            raise faults.at_destination(error, "staging the manifest") from error
        self._manifest = text

    def _write_manifest(self, stage: Stage, data: bytes) -> None:
        if descriptors.exists(stage.folder.fd, MANIFEST):
            os.unlink(MANIFEST, dir_fd=stage.folder.fd)
        fd = os.open(MANIFEST, CREATE, 0o666, dir_fd=stage.folder.fd)
        stage.kept.append(fd)
        stage.unsynced = True
        write_all(fd, memoryview(data))
        self._modes.of_file(fd)

    def name_manifest(self, text: str) -> str | None:
        """Give the staged and synced manifest its name; returns it, relative to the target."""
        if self.target.rules.manifest == "none":
            return None
        stage = self._require_stage()
        if stage.unsynced or self._touched or self._kept:
            raise RuntimeError("the manifest comes last: sync_staged and sync_names come before it")
        self._must_be_home()
        try:
            return self._first_free(stage, manifests.encode(text))
        except OSError as error:
            stage.require()
            raise faults.at_destination(error, "publishing the manifest") from error

    def _first_free(self, stage: Stage, data: bytes) -> str:
        assert self._home
        hidden = self.target.rules.manifest == "hidden"
        base = f"{self.arrival}.sha256" if hidden else appended(self.name, ".sha256")
        with self._home.beneath(self._prefix) as target:
            inner = MANIFESTS if hidden else ""
            if inner and not descriptors.exists(target.fd, inner):
                self._make_hidden(stage, target, inner)
            with target.beneath(inner) as folder:
                version = 1
                while not self._name_or_same(stage, folder, name := versioned(base, version), data):
                    version += 1
        self._touched.add(self._below_home(inner).rstrip("/"))
        return f"{inner}/{name}" if inner else name

    def _name_or_same(self, stage: Stage, folder: Folder, name: str, data: bytes) -> bool:
        naming = self._naming(stage)
        try:
            if publishing.give_name(naming, stage.folder.fd, MANIFEST, folder.fd, name):
                return True
        except FileNotFoundError:
            stage.require()  # still staged? If not, an earlier call named it
        fd = open_regular(folder, name)
        return fd is not None and sha256_of(fd, name) == hashlib.sha256(data).hexdigest()

    def _make_hidden(self, stage: Stage, target: Folder, inner: str) -> None:
        for _ in range(100):  # another worker may remove the outer folder while it is still empty
            with contextlib.suppress(FileNotFoundError):
                return self._make_folders(stage, target, inner)
        raise DestinationUnready(f"{escape(inner)} disappears again and again", next_step="It is retried")

    def _make_folders(self, stage: Stage, target: Folder, inner: str) -> None:
        path = ""
        for part in inner.split("/") if inner else ():
            with target.beneath(path) as parent:
                if not descriptors.exists(parent.fd, part):
                    stage.require()
                if descriptors.make(parent.fd, part, self._modes.new_folder):
                    self._modes.of_folder(parent.fd, part)
                    self._touched.add(self._below_home(path).rstrip("/"))
            path = f"{path}/{part}" if path else part

    # The end

    def clean(self) -> None:
        if self.staging:
            self._close_views()
            self.staging.remove()
        self.close()

    def close(self) -> None:
        self._close_views()
        if self.staging:
            self.staging.close()
            self.staging = None
        for held in (self._home, self.place and self.place.home):
            if held:
                held.close()
        self._home = self.place = None
        self._manifest = None
        self._touched.clear()

    def _close_views(self) -> None:
        if self._staged:
            self._staged.close()
            self._staged = None
        if self._seen:
            self._seen[1].close()
            self._seen[0].close()
            self._seen = None
