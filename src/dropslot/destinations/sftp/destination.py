"""Folders of a server that speaks SFTP."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import cast

from dropslot.core.addressing import addresses
from dropslot.core.errors import Unsupported
from dropslot.core.fullness import FILE_SYSTEM, Capacity
from dropslot.core.names import escape
from dropslot.destinations.base import Destination, Drop, Found, Target
from dropslot.destinations.sftp import probe, renaming, targets
from dropslot.destinations.sftp.drop import SftpDrop
from dropslot.destinations.sftp.modes import resolve
from dropslot.destinations.sftp.probe import Naming
from dropslot.destinations.sftp.staging import Trial
from dropslot.destinations.sftp.targets import Place
from dropslot.destinations.sftp.targets import path_of as place_path
from dropslot.destinations.spelling import pairs_folded
from dropslot.sftp import faults, remote, runtime, streams, wire
from dropslot.sftp.channel import ConnectionGone
from dropslot.sftp.connection import Connection
from dropslot.sftp.login import Unreachable
from dropslot.sftp.pace import Pace
from dropslot.sftp.remote import join
from dropslot.sftp.ssh_account import Account
from dropslot.sftp.wire import Garbled, Said


class Sftp(Destination):
    """Delivers to one account at one server. Rules with equal settings share one object, so that a batch is synced
    together."""

    can_rename = True

    def __init__(
        self,
        account: Account,
        *,
        create_folders: bool = False,
        read_back: bool = False,
        pace: Pace | None = None,
    ) -> None:
        self.account, self.create_folders, self.read_back = account, create_folders, read_back
        self.pace = pace or Pace()
        self.is_unlimited = pace is None
        self._namings: dict[str, Naming] = {}

    # Looking

    def check(self, target: Target) -> None:
        self._checked_place(target)

    def _checked_place(self, target: Target) -> Place:
        mode = target.rules.folder_mode
        if mode is not None and mode & stat.S_IRWXU != stat.S_IRWXU:
            raise Unsupported(
                f"folder_mode {mode:o} takes away the account's own rights",
                next_step="Let the owner keep rwx, as in 2750",
            )
        with faults.told(self.account.server, f"Looking at {escape(target.url)}"):
            return runtime.run(lambda connection: self._check(connection, target), self.account)

    async def _check(self, connection: Connection, target: Target) -> Place:
        place = await self.prove(connection, target)
        await resolve(connection, target.rules, None)
        return place

    async def prove(self, connection: Connection, target: Target, *, by_trial: bool = False) -> Place:
        """Raise Unsupported if giving a name there might replace another file. With `by_trial` the server's own claims
        are not trusted. Returns the target's place. Also raises DestinationUnready and similar, Said."""
        place = await self.find(connection, target)
        # With hard links this can be found out while the data is sent; without them it must be known before.
        by_trial = by_trial or wire.HARDLINK not in connection.extensions
        if by_trial and target.fixed not in self._namings:
            await self._try(connection, place, target)
        return place

    async def _try(self, connection: Connection, place: Place, target: Target) -> None:
        try:
            async with Trial(connection, place.home) as folder:
                await self.naming(connection, folder, target)
        except Said as said:
            doing = f"Writing into {escape(place.home)}"
            raise await faults.explained(connection, said, doing, place.home) from said

    def examine(self, target: Target) -> remote.Space | None:
        """Like `check`, and really write there; returns how much space there is. For `doctor`."""

        async def try_all(connection: Connection) -> remote.Space | None:
            place = await self.find(connection, target)
            await self._try(connection, place, target)
            return await remote.space(connection, place.home)

        with faults.told(self.account.server, f"Writing into {escape(target.url)}"):
            return runtime.run(try_all, self.account)

    async def find(self, connection: Connection, target: Target) -> Place:
        """The place of a target as it is now."""
        return await targets.find(connection, target, create_folders=self.create_folders)

    async def naming(self, connection: Connection, folder: str, target: Target) -> Naming:
        """The operations that can give names; tried once in `folder`. Raises Unsupported."""
        known = self._namings.get(target.fixed)
        if known is None:
            known = self._namings[target.fixed] = await probe.naming_of(connection, folder)
        if not (known.links or known.renames):
            del self._namings[target.fixed]  # the server may be fixed while we run
            raise Unsupported(
                f"{escape(self.account.server)} may replace a file when it gives another one its name: it has no"
                f" {wire.HARDLINK}, and {known.why}",
                where="Nothing was or will be delivered there: an earlier delivery could be overwritten",
                next_step="Use a server with OpenSSH's extension, on a file system that has hard links",
            )
        return known

    @contextmanager
    def finding_naming(self, folder: str, target: Target) -> Iterator[None]:
        """Find out how names are given, while the block runs."""

        if target.fixed in self._namings:
            yield
            return
        own = runtime.current()

        async def find() -> None:
            await self.naming(await own.connection(self.account), folder, target)

        future = own.start(find())
        try:
            yield
            with suppress(ConnectionGone, Garbled, Unreachable, Said):  # then it is tried again when needed
                future.result()
        finally:
            future.cancel()

    # Delivering

    def open(self, target: Target, arrival: str, epoch: int, name: str) -> SftpDrop:
        return SftpDrop(self, target, arrival, epoch, name, None)

    def open_checked(self, target: Target, arrival: str, epoch: int, name: str) -> SftpDrop:
        return SftpDrop(self, target, arrival, epoch, name, self._checked_place(target))

    def sync_staged(self, drops: Sequence[Drop]) -> None:
        for drop in drops:
            cast(SftpDrop, drop).data_is_durable()

    def sync_names(self, drops: Sequence[Drop]) -> None:
        ours = [cast(SftpDrop, drop) for drop in drops]
        folders = sorted({folder for drop in ours for folder in drop.folders_to_sync()})
        synced = True
        if folders:
            with faults.told(self.account.server, "Syncing folders"):
                synced = runtime.run(lambda c: remote.sync_folders(c, folders), self.account)
        for drop in ours:
            drop.names_are_durable(synced)

    def publish_manifests(self, manifests: Sequence[tuple[Drop, str]]) -> list[str | None]:
        names = [cast(SftpDrop, drop).name_manifest(text) for drop, text in manifests]
        self.sync_names([drop for drop, _ in manifests])
        return names

    def read(self, target: Target, name: str) -> Iterator[bytes]:
        with faults.told(self.account.server, f"Reading {escape(name)}"):
            yield from streams.pieces(self.account, join(targets.path_of(target), name))

    def listing(self, target: Target, folder: str) -> dict[str, Found]:
        async def look(connection: Connection) -> dict[str, Found]:
            place = await targets.find(connection, target, create_folders=True)
            paths = [place.home]
            for part in folder.split("/") if folder else ():
                paths.append(join(paths[-1], part))
            below = await remote.look(connection, paths[1:])
            if place.missing or not all(seen is not None and seen.is_folder for seen in below):
                return {}
            return {
                name: Found(seen.is_folder, seen.is_file, seen.size or 0, (seen.mtime or 0) * 1_000_000_000)
                for name, seen in (await remote.listing(connection, paths[-1]) or {}).items()
            }

        with faults.told(self.account.server, f"Listing {escape(folder or target.url)}"):
            return runtime.run(look, self.account)

    def give_other_name(self, target: Target, name: str, new: str) -> bool:
        async def rename(connection: Connection) -> bool:
            place = await targets.find(connection, target, create_folders=True)
            if place.missing:
                return False
            return await renaming.give_other_name(
                connection, partial(self.naming, target=target), place.home, name, new
            )

        with faults.told(self.account.server, f"Giving {escape(name)} another name"):
            return runtime.run(rename, self.account)

    def are_folders(self, urls: Sequence[str]) -> list[bool]:
        paths = [addresses.parse(url).remote_path for url in urls]
        if not paths:
            return []
        with faults.told(self.account.server, "Looking for folders"):
            return runtime.run_again(lambda c: remote.are_folders(c, paths), self.account)

    def capacities(self, targets: Sequence[Target]) -> list[list[Capacity]]:
        async def look(connection: Connection) -> list[remote.Space | None]:
            paths = [place_path(target) for target in targets]
            found = await remote.spaces(connection, paths)
            # What is not there yet will be made in the folder that is.
            fixed = {target.fixed for target, space in zip(targets, found, strict=True) if space is None}
            paths = [addresses.parse(url).remote_path for url in sorted(fixed)]
            above = dict(zip(sorted(fixed), await remote.spaces(connection, paths), strict=True))
            return [space or above.get(target.fixed) for target, space in zip(targets, found, strict=True)]

        with faults.told(self.account.server, "Asking for the free space"):
            spaces = runtime.run_again(look, self.account)
        return [[_capacity(self.account.server, space)] if space else [] for space in spaces]

    def twins(self, target: Target, names: Sequence[str]) -> list[tuple[str, str]]:
        if not pairs_folded(names, case=True, form=True):
            return []

        async def look(connection: Connection) -> tuple[bool, bool]:
            place = await self.find(connection, target)
            async with Trial(connection, place.home) as folder:
                return await probe.folds_names(connection, folder)

        with faults.told(self.account.server, "Looking how names are folded"):
            case, form = runtime.run(look, self.account)
        return pairs_folded(names, case=case, form=form)


def _capacity(server: str, space: remote.Space) -> Capacity:
    # Without an id, two file systems of one size at one server count as one.
    system = space.file_system or space.total_bytes
    files = space.free_inodes if space.total_inodes else None
    used_files = space.total_inodes - space.free_inodes
    return Capacity(FILE_SYSTEM, f"{server} {system}", space.used_bytes, space.free_bytes, used_files, files)
