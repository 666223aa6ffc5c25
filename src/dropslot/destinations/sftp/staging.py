"""The staging folder of one arrival and epoch on a server. It has the layout of a local one."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dropslot.core.errors import DestinationUnready, TakenOver
from dropslot.core.names import RESERVED, escape
from dropslot.destinations.layout import STAGE, TREE, epoch_of_stage, stage_name, taken_over
from dropslot.sftp import remote, wire
from dropslot.sftp.connection import Connection
from dropslot.sftp.remote import join
from dropslot.sftp.wire import Attributes, Said

EPOCHS = f"{RESERVED}/{STAGE}"
MANIFEST = "manifest"
TRIAL = "trial."
LONGEST_TRIAL_SECONDS = 3600  # trials take a few seconds
GONE = "gone-"
_TRIES = 20


@dataclass(slots=True)
class RemoteStage:
    """If the folder is gone, its worker was taken over. Each request names the path, since no descriptor stays open."""

    home: str
    name: str
    uid: int | None = None  # of the account there
    aside: str | None = None  # the name under which its removal began before the connection was lost

    @property
    def epochs(self) -> str:
        return join(self.home, EPOCHS)

    @property
    def path(self) -> str:
        return f"{self.epochs}/{self.name}"

    @property
    def tree(self) -> str:
        """The folder that is laid out like the home."""
        return f"{self.path}/{TREE}"

    async def require(self, connection: Connection) -> None:
        """Raise TakenOver when a later epoch has removed this folder."""
        if await remote.look_one(connection, self.path) is None:
            raise taken_over(self.name)

    async def remove(self, connection: Connection) -> None:
        """Remove it, and hidden folders if they are empty."""
        # Often it is nearly empty now; its contents are listed only if these requests fail to remove it.
        folders = [self.tree, self.path, self.epochs, join(self.home, RESERVED)]
        *_, left = await connection.ask(
            wire.on(wire.REMOVE, f"{self.path}/{MANIFEST}"),
            *(wire.on(wire.RMDIR, path) for path in folders),
            wire.on(wire.LSTAT, self.path),
        )
        if wire.found(left) is not None or self.aside:
            self.aside = self.aside or remote.aside_of(self.path)
            await remote.remove_tree(connection, self.path, self.aside)
            await remove_hidden(connection, self.home)


async def remove_hidden(connection: Connection, home: str) -> None:
    """Remove `.dropslot/stage` and `.dropslot` when nothing is in them."""
    await remote.remove_empty(connection, [join(home, EPOCHS), join(home, RESERVED)])


async def make(connection: Connection, home: str, arrival: str, epoch: int, prefix: str) -> RemoteStage:
    """The staging folder of this epoch, made if it is missing. Raises TakenOver if one of a later epoch exists."""
    stage = RemoteStage(home, stage_name(arrival, epoch, prefix))
    seen, own, entries = await _made(connection, stage)
    _private(connection, stage, seen, own)
    if stage.name not in entries:  # it was opened too early
        entries = await remote.listing(connection, stage.epochs) or {}
    # Make ours first, then look: of two workers at least one sees the other, and the older one yields.
    found = _epochs_of(arrival, entries)
    if any(other > epoch for other, _ in found):
        await stage.remove(connection)
        raise taken_over(stage.name)
    older = [name for other, name in found if other < epoch]
    await _discard(connection, home, older + _left_trials(entries, entries.get(stage.name)))
    stage.uid = own.uid if own else None
    return stage


async def find(connection: Connection, home: str, arrival: str, epoch: int, prefix: str) -> RemoteStage:
    """The staging folder that another worker has made. Raises TakenOver if it is gone."""
    stage = RemoteStage(home, stage_name(arrival, epoch, prefix))
    seen, own = await remote.look(connection, [stage.epochs, stage.path])
    if seen is None or own is None:
        raise gone(stage)
    _private(connection, stage, seen, own)
    stage.uid = own.uid
    return stage


async def _made(
    connection: Connection, stage: RemoteStage
) -> tuple[Attributes | None, Attributes | None, dict[str, Attributes]]:
    """Make the folders, look at the last two, and list the first of these two. This takes few round trips if nothing is
    in the way."""
    channel = connection.channel()
    *_, epochs, own, opened = await channel.ask(
        wire.make_folder(join(stage.home, RESERVED)),
        wire.make_folder(stage.epochs, Attributes(mode=0o700)),
        wire.make_folder(stage.path, Attributes(mode=0o700)),
        wire.on(wire.LSTAT, stage.epochs),
        wire.on(wire.LSTAT, stage.path),
        wire.on(wire.OPENDIR, stage.epochs),
    )
    try:
        entries = await remote.listing_of(channel, opened)
    except Said:  # the owner of the folder explains more, so it is reported first
        entries = None
    seen = [wire.found(epochs), wire.found(own)]
    if None in seen:
        await _make_folders(connection, stage)
        seen = await remote.look(connection, [stage.epochs, stage.path])
    return seen[0], seen[1], entries or {}


async def _make_folders(connection: Connection, stage: RemoteStage) -> None:
    outer = join(stage.home, RESERVED)
    for _ in range(_TRIES):  # another worker may remove the empty folders between two requests
        try:
            channel = connection.channel()
            await channel.ask(wire.make_folder(outer), wire.make_folder(stage.epochs, Attributes(mode=0o700)))
            await remote.make_folders(connection, [stage.path], 0o700)
        except Said as said:
            if said.code != wire.NO_SUCH_FILE or await remote.look_one(connection, stage.home) is None:
                raise
            # Report the refusal of the outer folder, not the missing parent of the inner one.
            made = await remote.make_folders(connection, [outer])
            if made == [True]:
                continue
        else:
            return
    raise DestinationUnready(f"{EPOCHS} disappears again and again", next_step="It is retried")


def _private(
    connection: Connection, stage: RemoteStage, seen: Attributes | None, own: Attributes | None
) -> None:
    """Refuse a staging folder that someone else made or may write to: they could exchange staged files."""
    if seen is None or own is None:
        raise DestinationUnready(f"{EPOCHS} vanished", next_step="It is retried")
    if not seen.is_folder or seen.uid != own.uid or (seen.mode or 0) & 0o022:
        raise DestinationUnready(
            f"{escape(stage.epochs)} at {escape(connection.account.server)} is not the account's own: it belongs to"
            f" user {seen.uid} with mode {(seen.mode or 0) & 0o7777:o}",
            where="Nothing of the arrival was delivered",
            next_step="Only the account may be able to write to it: check what is in it, then remove it",
        )


def _left_trials(entries: Mapping[str, Attributes], own: Attributes | None) -> list[str]:
    """Trial folders of killed processes: those that are too old by the server's own clock."""
    now = own.mtime if own and own.mtime else 0
    return [
        name
        for name, seen in entries.items()
        if name.startswith(TRIAL) and seen.mtime and now - seen.mtime > LONGEST_TRIAL_SECONDS
    ]


def _epochs_of(arrival: str, entries: Iterable[str]) -> list[tuple[int, str]]:
    found = []
    for name in entries:
        epoch = epoch_of_stage(arrival, name)
        if epoch is not None:
            found.append((epoch, name))
        elif name.startswith(GONE):
            found.append((-1, name))  # its removal was interrupted
    return found


async def discard_older(connection: Connection, homes: Sequence[str], arrival: str, epoch: int) -> None:
    """Remove every staging folder of earlier epochs of the arrival, even while their workers still write."""
    await asyncio.gather(*(_discard_older_in(connection, home, arrival, epoch) for home in homes))


async def _discard_older_in(connection: Connection, home: str, arrival: str, epoch: int) -> None:
    # A kill between the removal of the two hidden folders leaves the outer one.
    entries, _ = await asyncio.gather(
        remote.listing(connection, join(home, EPOCHS)), remove_hidden(connection, home)
    )
    if older := [name for other, name in _epochs_of(arrival, entries or {}) if other < epoch]:
        await _discard(connection, home, older)
        await remove_hidden(connection, home)


async def _discard(connection: Connection, home: str, names: Sequence[str]) -> None:
    for name in names:
        await remote.remove_tree(connection, f"{join(home, EPOCHS)}/{name}")


class Trial:
    """A private folder in the home for trials; it is removed afterwards."""

    def __init__(self, connection: Connection, home: str) -> None:
        self._connection = connection
        self._stage = RemoteStage(home, f"{TRIAL}{secrets.token_hex(8)}")

    async def __aenter__(self) -> str:
        await _make_folders(self._connection, self._stage)
        return self._stage.path

    async def __aexit__(self, *_: object) -> None:
        await remote.remove_tree(self._connection, self._stage.path)
        await remove_hidden(self._connection, self._stage.home)


def gone(stage: RemoteStage) -> TakenOver:
    """The error for a worker whose staging folder is gone."""
    return taken_over(stage.name)
