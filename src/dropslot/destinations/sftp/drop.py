"""One arrival on its way to a server."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from dropslot.contents.base import Source, Staged
from dropslot.core import manifests
from dropslot.core.errors import DestinationUnready
from dropslot.core.names import RESERVED, appended, escape, versioned
from dropslot.destinations.base import READ_BACK, SIZE_COMPARED, SYNCED, Planned, Stored, Target
from dropslot.destinations.layout import Entry, Layout, every, safe
from dropslot.destinations.sftp import staging, target_contents, targets
from dropslot.destinations.sftp.modes import RemoteModes, resolve
from dropslot.destinations.sftp.publishing import Publication, digest
from dropslot.destinations.sftp.stage_upload import StageUpload, is_wide
from dropslot.destinations.sftp.staging import MANIFEST, RemoteStage
from dropslot.destinations.sftp.target_contents import Looking
from dropslot.destinations.sftp.targets import Place
from dropslot.destinations.sftp.tree import Tree
from dropslot.destinations.shared import Part, SharedDrop, elsewhere
from dropslot.files.listing import Listing
from dropslot.sftp import faults, runtime, wire
from dropslot.sftp.connection import Connection
from dropslot.sftp.remote import join
from dropslot.sftp.transfers.file_transfer import Sending
from dropslot.sftp.wire import Said

if TYPE_CHECKING:
    from dropslot.destinations.sftp.destination import Sftp

T = TypeVar("T")
MANIFESTS = f"{RESERVED}/manifests"


class SftpDrop(SharedDrop):
    """Every step is one or a few batches of requests. A step is repeated if its answers were lost."""

    destination: Sftp

    def __init__(
        self, destination: Sftp, target: Target, arrival: str, epoch: int, name: str, place: Place | None
    ) -> None:
        """`place`: as found a moment ago; None: not known yet."""
        self.destination, self.target = destination, target
        self.arrival, self.epoch, self.name = arrival, epoch, name
        self.staging: RemoteStage | None = None
        self._place = place
        self._modes = RemoteModes()
        self._tree = Tree(Listing(is_folder=True), Layout("", ""))
        self._source = Source(Path(), Listing(is_folder=True))
        self._algorithms: tuple[str, ...] = ()
        self._given: set[str] = set()
        self._making: set[str] = set()
        self._touched: set[str] = set()  # folders below the home with names that are not durable yet
        self._kept: set[str] = set()  # folders below the target with names of an earlier attempt
        self._manifest_sent = False  # an earlier try may have sent it, or part of it
        self._unsynced = False
        self._synced = True
        self._looking: Looking | None = None

    @property
    def proved(self) -> frozenset[str]:
        """What the server proved, for the receipt."""
        had = {SIZE_COMPARED}
        had |= {SYNCED} if self._synced else set()
        had |= {READ_BACK} if self.destination.read_back else set()
        return frozenset(had)

    def _do(self, work: Callable[[Connection], Coroutine[Any, Any, T]], doing: str) -> T:
        """Do a step that may be repeated. After a lost connection it is repeated once over a new one."""
        account = self.destination.account
        with faults.told(account.server, doing):
            return runtime.run_again(work, account)

    # Staging

    def discard_older(self) -> None:
        if self.epoch <= 1:
            return  # no earlier epoch exists

        async def discard(connection: Connection) -> None:
            place = await self.destination.find(connection, self.target)
            await staging.discard_older(connection, place.homes, self.arrival, self.epoch)

        self._do(discard, "Removing the staging of an earlier attempt")

    @property
    def prefix(self) -> str:
        return self._prefix

    @property
    def gains(self) -> bool:
        return self.destination.is_unlimited  # a limit holds for all workers together

    def stage(self, source: Source, algorithms: Sequence[str] = ("sha256",), strip: str = "") -> list[Staged]:
        self.begin(source, algorithms, strip)
        return self.end([self.stage_items(0, len(source.listing.items))])

    def begin(self, source: Source, algorithms: Sequence[str], strip: str) -> None:
        if source.listing.faults:
            raise ValueError("a listing with faults is never staged")
        if self.staging:
            self.clean()
        stage = self._make_stage(wide=is_wide(source.listing.items))
        self._set_source(source, algorithms, strip)
        self._do(
            lambda connection: self._tree.make(connection, stage, self._modes),
            "Making folders in the staging",
        )

    def _set_source(self, source: Source, algorithms: Sequence[str], strip: str) -> None:
        self._unsynced, self._synced = True, True
        self._source, self._algorithms = source, every(algorithms)
        self._tree = Tree(source.listing, Layout(self._prefix, strip))

    def join(self, source: Source, algorithms: Sequence[str], strip: str, prefix: str) -> None:
        async def find(connection: Connection) -> None:
            if is_wide(source.listing.items):
                connection.widen()
            self._place = await self.destination.find(connection, self.target)
            if self._place.missing != prefix:
                raise elsewhere()
            self.staging = await staging.find(connection, self._place.home, self.arrival, self.epoch, prefix)
            self._modes = await resolve(connection, self.target.rules, self.staging.uid)

        self._do(find, "Looking for the staging folder")
        self._set_source(source, algorithms, strip)

    def stage_items(self, start: int, stop: int, *, again: bool = False) -> Part:
        stage, items = self._require_stage(), self._source.listing.items[start:stop]
        with self._source.open() as folder, self.destination.finding_naming(stage.path, self.target):
            upload = StageUpload(
                self.destination.account,
                stage,
                self._tree.layout,
                self._modes.of_files(),
                self.destination.pace,
                self._algorithms,
                folder.fd,
                items,
                self._source,
                read_back=self.destination.read_back,
                leftovers=again,
            )
            upload.run()
        digests = b"".join(one for number in range(len(items)) for one in upload.digests[number])
        return Part(digests, upload.unleased, upload.known.synced)

    def end(self, parts: Sequence[Part]) -> list[Staged]:
        self.shifted = self._tree.shifted()
        self.leased = self._source.lease and not sum(part.unleased for part in parts)
        self._synced = all(part.synced for part in parts)
        return self._tree.staged(self._algorithms, b"".join(part.digests for part in parts))

    def _make_stage(self, *, wide: bool = False) -> RemoteStage:
        if self.staging is None:
            self._do(lambda connection: self._make(connection, wide=wide), "Making the staging folder")
        assert self.staging
        return self.staging

    async def _make(self, connection: Connection, *, wide: bool) -> None:
        if wide:
            connection.widen()  # ready when the staging is
        self._place = self._place or await self.destination.find(connection, self.target)
        try:
            stage = await staging.make(
                connection, self._place.home, self.arrival, self.epoch, self._place.missing
            )
        except Said as said:
            doing = f"Making {staging.EPOCHS} in {escape(self._place.home)}"
            raise await faults.explained(connection, said, doing, self._place.home) from said
        self._modes = await resolve(connection, self.target.rules, stage.uid)
        self.staging = stage

    def _require_stage(self) -> RemoteStage:
        if self.staging is None:
            raise RuntimeError("nothing is staged by this drop")
        return self.staging

    # Looking

    def is_new(self) -> bool:
        place = self._do(lambda c: self.destination.find(c, self.target), "Looking at the target")
        return bool(place.missing)

    def stored(self, name: str) -> Stored | None:
        if self._looking is None:
            self._looking = Looking(targets.path_of(self.target))
        look = self._looking
        return target_contents.stored(self._do(lambda c: look.at(c, name), f"Looking at {escape(name)}"))

    def digest(self, name: str) -> str | None:
        if (seen := self.stored(name)) is None or not seen.regular:
            return None
        path = join(targets.path_of(self.target), name)
        return self._do(lambda c: digest(c, path), f"Reading {escape(name)}")

    # Publishing

    def publish(self, plan: Sequence[Planned]) -> list[Planned]:
        stage = self._require_stage()
        if self._unsynced:
            raise RuntimeError("the staged data is not durable yet: sync_staged comes first")
        entries = [self._entry(planned) for planned in plan]
        self._looking = None

        async def name(connection: Connection) -> list[Entry]:
            return await self._publish(connection, stage, plan, entries)

        taken = {entry.final for entry in self._do(name, "Publishing")}
        return [one for one, entry in zip(plan, entries, strict=True) if entry.final in taken]

    async def _publish(
        self, connection: Connection, stage: RemoteStage, plan: Sequence[Planned], entries: Sequence[Entry]
    ) -> list[Entry]:
        prefix = self._prefix
        whole = bool(prefix) and not self._given and self._tree.is_whole(plan)
        publication, _ = await asyncio.gather(
            self._publication(connection, stage), self._tree.set_times(connection, stage if whole else None)
        )
        folders = [prefix, *map(self._below_home, self._tree.folders())] if prefix else self._tree.folders()
        if self._modes.of_folders and not prefix and self.target.rules.manifest == "hidden":
            # First, so that a group or mode that cannot be set is reported before any name is given.
            await self._make_hidden(connection, targets.path_of(self.target))
        try:
            if whole and await publication.publish_new(prefix):
                self._given |= {entry.final for entry in entries}
                publication.touched |= {*map(str, PurePosixPath(prefix).parents), *folders} - {"."}
                return []
            return await publication.publish(folders, entries)
        finally:
            self._touched |= publication.touched

    async def _publication(self, connection: Connection, stage: RemoteStage) -> Publication:
        await self._require_home(connection, stage)
        naming = await self.destination.naming(connection, stage.path, self.target)
        return Publication(connection, stage, naming, self._modes, self._given, self._making)

    async def _require_home(self, connection: Connection, stage: RemoteStage) -> None:
        """Raise if a folder on the way to the home is no longer a folder: its owner may have moved it."""
        assert self._place
        homes = self._place.homes
        fixed, *below = await connection.ask(
            wire.on(wire.STAT, homes[0]), *(wire.on(wire.LSTAT, path) for path in (*homes[1:], stage.path))
        )
        seen = [wire.found(reply) for reply in (fixed, *below)]
        if not all(one is not None and one.is_folder for one in seen[:-1]):
            raise DestinationUnready(
                f"A folder on the way to {escape(self.target.url)} was renamed or replaced during the delivery",
                where="The staged data and the names published so far moved with it",
                next_step="Move it back, or leave it: the next attempt stages in the folder that is there",
            )
        if seen[-1] is None:
            raise staging.gone(stage)

    def keep(self, names: Sequence[str]) -> None:
        self._kept |= {name.rpartition("/")[0] for name in names}

    def _entry(self, planned: Planned) -> Entry:
        path = self._tree.layout.published(planned.path)
        if path is None:
            raise ValueError(f"{escape(planned.path)} lies outside of what is published")
        return Entry(self._below_home(path), self._below_home(safe(planned.stored_as)), planned.sha256)

    @property
    def _prefix(self) -> str:
        return self._place.missing if self._place else ""

    def _below_home(self, path: str) -> str:
        return f"{self._prefix}/{path}" if self._prefix else path

    def folders_to_sync(self) -> list[str]:
        """Folders with names that are not durable yet, as the server calls them."""
        home = self.staging.home if self.staging else ""
        found = {join(home, path) for path in self._touched}
        if self._kept and self._place:
            target, kept = targets.path_of(self.target), {""}
            for path in self._kept:
                while path not in kept:
                    kept.add(path)
                    path = path.rpartition("/")[0]
            found |= {*self._place.homes, *(join(target, path) for path in kept)}
        return sorted(found)

    def data_is_durable(self) -> None:
        """Called by `sync_staged`: each file was synced when it was sent."""
        self._unsynced = False

    def names_are_durable(self, synced: bool) -> None:
        """Called when `folders_to_sync` are synced, or when the server cannot sync."""
        self._synced = self._synced and synced
        self._touched.clear()
        self._kept.clear()

    # The manifest

    def name_manifest(self, text: str) -> str | None:
        """Stage and sync the manifest and give it its name; returns the name, relative to the target."""
        if self.target.rules.manifest == "none":
            return None
        stage = self._make_stage()
        if self._unsynced or self._touched or self._kept:
            raise RuntimeError("the manifest comes last: sync_staged and sync_names come before it")
        return self._do(lambda c: self._name_manifest(c, stage, text), "Publishing the manifest")

    async def _name_manifest(self, connection: Connection, stage: RemoteStage, text: str) -> str:
        # Sent together with the requests that look: each costs a round trip.
        hidden = self.target.rules.manifest == "hidden"
        publication, _ = await asyncio.gather(
            self._manifest_place(connection, stage, hidden=hidden),
            self._send_manifest(connection, stage, manifests.encode(text)),
        )
        base = f"{self.arrival}.sha256" if hidden else appended(self.name, ".sha256")
        inner, target = MANIFESTS if hidden else "", targets.path_of(self.target)
        sha256, version = manifests.digest(text), 1
        while True:
            name = join(inner, versioned(base, version)) if inner else versioned(base, version)
            if await publication.give(MANIFEST, join(target, name)) or (
                await digest(connection, join(target, name)) == sha256
            ):
                self._touched.add(self._below_home(inner).rstrip("/"))
                return name
            version += 1

    async def _manifest_place(
        self, connection: Connection, stage: RemoteStage, *, hidden: bool
    ) -> Publication:
        publication = await self._publication(connection, stage)
        if hidden:
            await self._make_hidden(connection, targets.path_of(self.target))
        return publication

    async def _send_manifest(self, connection: Connection, stage: RemoteStage, data: bytes) -> None:
        again, self._manifest_sent = self._manifest_sent, True
        modes = self._modes.of_files()
        sending = Sending(
            connection,
            stage.path,
            partial(staging.gone, stage),
            modes,
            read_back=self.destination.read_back,
            again=again,
            strict=modes != wire.NOTHING,
        )
        path = f"{stage.path}/{MANIFEST}"
        await sending.small(0, path, data, time.time_ns(), hashlib.sha256(data).digest())
        self._synced = self._synced and sending.known.synced

    async def _make_hidden(self, connection: Connection, target: str) -> None:
        outer, inner = join(target, RESERVED), join(target, MANIFESTS)
        made = await self._modes.make_folders(connection, [outer, inner])
        self._touched |= {
            self._below_home(path).rstrip("/") for path, new in zip(("", RESERVED), made, strict=True) if new
        }

    # The end

    def clean(self) -> None:
        if self.staging:
            self._do(self.staging.remove, "Removing the staging folder")
        self.close()

    def close(self) -> None:
        self.staging = self._place = self._looking = None
        self._manifest_sent = False
        self._touched.clear()
        self._given.clear()
        self._making.clear()
