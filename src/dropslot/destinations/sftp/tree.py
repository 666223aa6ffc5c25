"""The layout of an arrival in its stage, and the report about it afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from dropslot.contents.base import Staged
from dropslot.core.errors import Refused
from dropslot.core.names import escape
from dropslot.destinations.base import Planned
from dropslot.destinations.layout import REST, TREE, Layout, published_items, staged_items
from dropslot.destinations.sftp.modes import RemoteModes
from dropslot.destinations.sftp.staging import RemoteStage
from dropslot.files import listing
from dropslot.files.listing import Listing
from dropslot.sftp import faults, remote, wire
from dropslot.sftp.connection import Connection
from dropslot.sftp.wire import Attributes, Said


@dataclass(slots=True)
class Tree:
    """A listing and the places of its parts in the stage."""

    listing: Listing
    layout: Layout

    async def make(self, connection: Connection, stage: RemoteStage, modes: RemoteModes) -> None:
        """Check that there is space, then make every folder, parents first. Raises Refused, DiskFull."""
        items = self.listing.items
        largest = max(items, key=lambda item: item.size_bytes).path if items else ""
        plain, delivered = ([f"{stage.path}/{path}" for path in paths] for paths in self._places())
        try:
            space, _, _ = await asyncio.gather(
                remote.space(connection, stage.path),
                remote.make_folders(connection, plain, 0o700),
                modes.make_folders(connection, delivered, ours=frozenset(delivered)),
            )
            require_space(space, self.listing.size_bytes, len(items) + len(self.listing.folders), largest)
        except Said as said:
            raise await faults.explained(
                connection, said, "Making the folders of the arrival", stage.path
            ) from said

    def _places(self) -> tuple[list[str], list[str]]:
        """Our own folders, and those that will be published; parents first."""
        plain, delivered = [TREE], []
        at = TREE
        for part in self.layout.base.split("/")[1:]:
            at = f"{at}/{part}"
            delivered.append(at)
        if any(self.layout.published(item.path) is None for item in self.listing.items):
            plain.append(REST)
        for path, _time in self.listing.folders:
            if (place := self.layout.place(path)) not in (TREE, REST, self.layout.base):
                (plain if self.layout.published(path + "/") is None else delivered).append(place)
        return plain, delivered

    async def set_times(self, connection: Connection, stage: RemoteStage | None) -> None:
        """Set the mtimes of folders after everything in them is made. `stage` None: folders are not published as they
        are. If a server refuses, its own times stay."""
        requests = [
            wire.set_attributes(f"{stage.path}/{place}", Attributes(mtime=wire.seconds(time)))
            for path, time in reversed(self.listing.folders)
            if stage and (place := self.layout.place(path)) not in (TREE, self.layout.base)
        ]
        for start in range(0, len(requests), remote.AT_ONCE):
            await connection.ask(*requests[start : start + remote.AT_ONCE])

    def folders(self) -> list[str]:
        """Every folder that must exist below the target, parents first."""
        published = (self.layout.published(f"{path}/") for path, _ in self.listing.folders)
        return [path.rstrip("/") for path in published if path]

    def is_whole(self, plan: Sequence[Planned]) -> bool:
        """Whether the plan has every item under its own name."""
        if len(plan) != sum(1 for _ in published_items(self.listing, self.layout)):
            return False
        return all(self.layout.published(planned.path) == planned.stored_as for planned in plan)

    def shifted(self) -> int:
        """How many items get another time at the server: version 3 of the protocol can only hold 1970 to 2106."""
        unusual = (self.listing.items[at].mtime_ns for at in listing.unusual(self.listing.items))
        return sum(not listing.is_kept(time, wire.seconds(time) * 1_000_000_000) for time in unusual)

    def staged(self, algorithms: Sequence[str], digests: bytes) -> list[Staged]:
        """The staged items, in listing order; times as the server has them, in whole seconds. `digests` are joined in
        the order of `algorithms`; sha256 is the first."""
        found = staged_items(self.listing, algorithms, digests)
        return [item._replace(mtime_ns=wire.seconds(item.mtime_ns) * 1_000_000_000) for item in found]


def require_space(space: remote.Space | None, size: int, count: int, largest: str) -> None:
    """Raise Refused if the arrival is larger than the whole file system, DiskFull if larger than the free space."""
    if space is None or not space.total_bytes:
        return
    if size > space.total_bytes:
        makes = f"{escape(largest)} makes the arrival {size:,} bytes large"
        raise Refused([f"{makes}, and the server's whole file system has {space.total_bytes:,}"])
    if size > space.free_bytes:
        raise faults.full(f"The arrival has {size:,} bytes, and {space.free_bytes:,} are free at the server")
    if space.total_inodes and count > space.free_inodes:
        raise faults.full(
            f"The arrival has {count:,} items; the server's file system has {space.free_inodes:,} inodes free"
        )
