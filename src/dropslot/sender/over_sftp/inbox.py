"""An inbox at a server that speaks SFTP: signs in, and does what the engine asks for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import asyncssh

from dropslot.core.addressing import addresses
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.core.reading_json import MALFORMED
from dropslot.sender import home_folder
from dropslot.sender.connecting import Access, place
from dropslot.sender.credentials import Credentials, HostKey
from dropslot.sender.faults import BagGone, InboxMissing, SignInRefused
from dropslot.sender.inbox import Outgoing, Progress, SignedReceipt
from dropslot.sender.over_sftp import bag_finish, plain_errors
from dropslot.sender.over_sftp.bag_finish import Bag, Seen
from dropslot.sender.over_sftp.bag_upload import FOLDER_MODE, BagUpload, is_wide
from dropslot.sender.over_sftp.plain_errors import in_words
from dropslot.sender.over_sftp.ssh_login import SigningIn
from dropslot.sftp import faults, remote, runtime, trust, wire
from dropslot.sftp.connection import Connection
from dropslot.sftp.hostkeys import HostKeyUnknown
from dropslot.sftp.login import TOO_MANY, LoginRefused
from dropslot.sftp.pace import Pace
from dropslot.sftp.remote import join
from dropslot.sftp.ssh_account import Account
from dropslot.sftp.wire import Said

T = TypeVar("T")
RECEIPTS, SIGNERS = "receipts", "allowed_signers"
LONGEST_RECEIPT_BYTES = 1 << 30
_SETGID = 0o2000


class SftpInbox:
    """See `sender.inbox.Inbox`. One connection is kept, and made again when it is lost."""

    def __init__(self, access: Access, credentials: Credentials) -> None:
        """Signs in. Raises SignInRefused, HostUntrusted, HostChanged, Unreachable."""
        address = addresses.parse(access.to)
        server = address._replace(user="").server
        user = access.user or address.user or credentials.user(server)
        if not user:
            raise _no_user(server)
        self._access, self._credentials = access, credentials
        self._signing = SigningIn(f"{user}@{address.host}", access.key, credentials)
        self._account = Account(
            user,
            address.host,
            address.port,
            known_hosts=access.known_hosts or str(home_folder.known_hosts()),
            client=self._signing.client,
        )
        self._folder = address.remote_path.rstrip("/") or "/"
        self._receipts = [
            _beside(self._folder, folder.replace("{sender}", user))
            for folder in ([access.receipts] if access.receipts else (f"{RECEIPTS}/{user}", RECEIPTS))
        ]
        self._where = place(access.to)
        # Whether the inbox gives what is made in it its own group (setgid), as last seen.
        self._is_grouped: bool | None = None
        self._sign_in()

    @property
    def where(self) -> str:
        return self._where

    def begin(self, bag: str, files: Sequence[Outgoing]) -> None:
        async def begin(connection: Connection) -> None:
            if is_wide(files):
                connection.widen()  # it takes as many round trips as all until the first file
            await self._begin(connection, self._bag(bag))

        self._do(begin, "Making a folder in the inbox")

    def upload(
        self, bag: str, files: Sequence[Outgoing], reached: Mapping[str, int], progress: Progress, pace: Pace
    ) -> None:
        if not files:
            return
        whole = self._bag(bag)
        if self._is_grouped is None:
            self._do(lambda connection: self._look(connection, whole), "Looking at the inbox")
        grouped = bool(self._is_grouped)
        with self._words(f"Sending {escape(bag)}"):
            BagUpload(self._account, whole.hidden, files, reached, progress, pace, grouped=grouped).run()

    def finish(
        self, bag: str, tag_files: Mapping[str, bytes], naming: Callable[[], None], *, may_be_named: bool
    ) -> bool:
        asked = [may_be_named]

        async def finish(connection: Connection) -> bool:
            whole = self._bag(bag)
            seen, there = await asyncio.gather(
                self._look(connection, whole), bag_finish.listed(connection, whole.hidden, tag_files)
            )
            gone = None if asked[-1] else _gone(self._account, whole)
            state = bag_finish.state(connection, whole, seen, gone)
            if state == bag_finish.HIDDEN:
                inbox = await bag_finish.finish(connection, whole, tag_files, there, grouped=seen.is_grouped)
                naming()  # before the request: its answer may be lost
                asked.append(True)
                await bag_finish.name(connection, whole, inbox)
            return state != bag_finish.GONE

        return self._do(finish, f"Finishing {escape(bag)}")

    def discard(self, bag: str) -> None:
        hidden = self._bag(bag).hidden
        aside = join(self._folder, f".gone-{bag}")  # hidden as well: a watcher would take it otherwise
        self._do(lambda connection: remote.remove_tree(connection, hidden, aside), f"Removing {escape(bag)}")

    def receipt(self, bag: str) -> SignedReceipt | None:
        data = self._received(f"{bag}.json")
        return None if data is None else _receipt(data, bag)

    def signers(self) -> str:
        return (self._received(SIGNERS) or b"").decode("utf-8", "replace")

    def close(self) -> None:
        own = runtime.current()
        own.run(_end(own, self._account))

    # Signing in

    def _sign_in(self) -> None:
        own = runtime.current()
        with self._words("Signing in"):
            while True:
                try:
                    own.run(own.connection(self._account))
                except HostKeyUnknown as error:
                    if not self._trusts(error):
                        raise
                except LoginRefused as error:
                    if not (self._signing.uses_keys and TOO_MANY in str(error.__cause__)):
                        raise
                    self._signing.uses_keys = False  # the keys used up all tries: now without them
                else:
                    break
        self._credentials.accepted()

    def _trusts(self, error: HostKeyUnknown) -> bool:
        """Whether the key is trusted from now on; then it is kept."""
        kind, fingerprint = plain_errors.shown(error)
        if self._access.trust:
            trusted = self._access.trust.strip() == fingerprint
        else:
            server = (
                self._account.host if self._account.port == addresses.DEFAULT_PORT else self._where_server
            )
            trusted = self._credentials.trusts(HostKey(server, kind, fingerprint))
        if trusted:
            with home_folder.writing(self._account.hosts_file):
                trust.accept(self._account, asyncssh.import_public_key(error.shown))
        return trusted

    @property
    def _where_server(self) -> str:
        return f"{self._account.host}:{self._account.port}"

    def _words(self, doing: str) -> Any:
        return in_words(self._account, doing, self._signing)

    # At the server

    def _do(self, work: Callable[[Connection], Coroutine[Any, Any, T]], doing: str) -> T:
        """Do what may be repeated; after a lost connection it is repeated once."""
        with self._words(doing):
            return runtime.run_again(work, self._account)

    def _bag(self, bag: str) -> Bag:
        return Bag(join(self._folder, f".{bag}"), join(self._folder, bag))

    async def _begin(self, connection: Connection, bag: Bag) -> None:
        seen = await self._look(connection, bag)
        if seen.hidden is not None:
            return
        if seen.final is not None:
            raise bag_finish.name_taken(connection, bag)
        try:
            await remote.make_folders(connection, [bag.hidden], FOLDER_MODE if seen.is_grouped else None)
        except Said as said:
            if said.code == wire.PERMISSION_DENIED:
                raise plain_errors.closed(
                    self._account, f"Writing into the inbox {escape(self._folder)}"
                ) from said
            raise await faults.explained(connection, said, "Making a folder", self._folder) from said

    async def _look(self, connection: Connection, bag: Bag) -> Seen:
        """The inbox, and what is there of a bag, in one round trip. Raises InboxMissing."""
        inbox, hidden, final = await connection.ask(
            wire.on(wire.STAT, self._folder), wire.on(wire.LSTAT, bag.hidden), wire.on(wire.LSTAT, bag.final)
        )
        seen = wire.found(inbox)
        if seen is None or not seen.is_folder:
            raise self._missing()
        self._is_grouped = bool((seen.mode or 0) & _SETGID)
        return Seen(self._is_grouped, wire.found(hidden), wire.found(final))

    def _received(self, name: str) -> bytes | None:
        """A file of the folder of receipts: the account's own folder in it, or it, when the server shows each account
        only its own."""
        found = (self._read(join(folder, name)) for folder in self._receipts)
        return next((data for data in found if data is not None), None)

    def _read(self, path: str) -> bytes | None:
        """The bytes of a file; None if there is none."""

        async def read(connection: Connection) -> bytes | None:
            found = bytearray()
            try:
                async for piece in remote.read(connection, path):
                    found += piece
                    if len(found) > LONGEST_RECEIPT_BYTES:
                        raise _unreadable(path, "it is larger than any receipt")
            except Said as said:
                if said.code == wire.NO_SUCH_FILE:
                    return None
                if said.code == wire.PERMISSION_DENIED:
                    raise plain_errors.closed_receipts(self._account) from said
                raise
            return bytes(found)

        return self._do(read, f"Reading {escape(path)}")

    def _missing(self) -> InboxMissing:
        return InboxMissing(
            f"There is no inbox {escape(self._folder)} at {escape(self._account.server)}",
            where="Your files are untouched",
            next_step=f"Check the address of the inbox, or ask {plain_errors.RUNS_THE_SERVER}",
        )


async def _end(own: runtime.Runtime, account: Account) -> None:
    kept = own.connections.pop(account, None)
    if kept is not None:
        kept.end("signed out")


def _beside(inbox: str, folder: str) -> str:
    """A folder beside the inbox, unless its path is absolute."""
    return (
        folder
        if folder.startswith("/")
        else join(inbox.rpartition("/")[0] or "/" * inbox.startswith("/"), folder)
    )


def _receipt(data: bytes, bag: str) -> SignedReceipt:
    try:
        return SignedReceipt.of(json.loads(data))
    except MALFORMED as error:
        raise _unreadable(f"{bag}.json", str(error)) from error


def _unreadable(path: str, why: str) -> DropslotError:
    from dropslot.sender.receipts.verify_receipt import BadReceipt  # signatures take long to load

    return BadReceipt(
        f"The receipt {escape(path)} cannot be read: {escape(why)}",
        where="Your files were sent; whether they were delivered is not known yet",
        next_step=f"Tell {plain_errors.RUNS_THE_SERVER}",
    )


def _gone(account: Account, bag: Bag) -> BagGone:
    return BagGone(
        f"The unfinished upload {escape(bag.hidden)} at {escape(account.server)} was removed there",
        where="Your files are untouched; what was sent of them is gone",
        next_step="They are sent again. If this repeats, tell the person who runs the server",
    )


def _no_user(server: str) -> SignInRefused:
    return SignInRefused(
        f"Signing in to {escape(server)} needs the name of an account",
        where=plain_errors.UNSENT,
        next_step="Put it into the address, as in sftp://NAME@HOST/inbox",
    )
