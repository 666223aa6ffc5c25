"""One connection to one server: several channels, each served by a process of its own there."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import asyncssh

from dropslot.core.errors import DestinationUnready
from dropslot.core.names import escape
from dropslot.sftp.channel import Channel, ConnectionGone
from dropslot.sftp.login import login
from dropslot.sftp.ssh_account import UNSENT, Account
from dropslot.sftp.wire import Garbled, Reply, Request

CHANNELS = (
    10  # what OpenSSH allows for each connection; each is a process there, and their syncs share disk commits
)
PATIENCE_SECONDS = 120.0  # without any answer; a sync of a large file may take that long
OPEN_SECONDS = 30.0  # for one channel
_LOOK_SECONDS = 1.0


class Connection:
    """Used in the loop's thread alone."""

    def __init__(self, account: Account, ssh: asyncssh.SSHClientConnection) -> None:
        self.account, self._ssh = account, ssh
        self.channels: list[Channel] = []
        self.patience = PATIENCE_SECONDS
        self._more: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, account: Account) -> Connection:
        """Log in and start SFTP. Raises DestinationUnready and its like."""
        ssh = await login(account)
        connection = cls(account, ssh)
        try:
            await connection._add_channel()
        except (asyncssh.Error, OSError, ConnectionGone, Garbled, TimeoutError) as error:
            ssh.abort()
            raise DestinationUnready(
                f"{escape(account.server)} accepts the login but offers no SFTP:"
                f" {escape(str(error) or 'it gives no reason')}",
                where=UNSENT,
                next_step="Let its administrator enable the sftp subsystem for the account, and make sure that no"
                f" start-up file prints anything; try it: sftp -P {account.port} {escape(account.user)}@{account.host}",
            ) from error
        connection._watch = asyncio.create_task(connection._watching())
        return connection

    @property
    def is_open(self) -> bool:
        return bool(self.channels) and self.channels[0].is_open

    @property
    def extensions(self) -> frozenset[str]:
        return self.channels[0].extensions

    @property
    def round_trip_seconds(self) -> float:
        """The shortest time in which the server answered."""
        return min(channel.quickest_seconds for channel in self.channels)

    def widen(self) -> None:
        """Open further channels while others work; if the server refuses, there are fewer."""
        if self._more is None and len(self.channels) < CHANNELS:
            self._more = asyncio.create_task(self._widen())

    async def widened(self) -> None:
        """As `widen`, and wait for them."""
        self.widen()
        if self._more is not None:
            await asyncio.wait([self._more])  # only its end counts: a lost connection cancels it

    def channel(self) -> Channel:
        """The channel with the least to do."""
        return min(self.channels, key=lambda channel: (channel.pending_bytes, channel.waiting))

    def ask(self, *requests: Request) -> asyncio.Future[list[Reply]]:
        """Requests that must be done in this order, so on one channel."""
        return self.channel().ask(*requests)

    async def one(self, request: Request) -> Reply:
        return await self.channel().one(request)

    def end(self, why: str) -> None:
        """Give the connection up at once."""
        for task in (self._more, self._watch):
            if task and task is not asyncio.current_task():
                task.cancel()
        for channel in self.channels:
            channel.end(why)
        self._ssh.abort()

    async def _widen(self) -> None:
        with suppress(asyncssh.Error, OSError, ConnectionGone, Garbled, TimeoutError):
            await asyncio.gather(*(self._add_channel() for _ in range(CHANNELS - len(self.channels))))

    async def _add_channel(self) -> None:
        channel = Channel()
        async with asyncio.timeout(OPEN_SECONDS):
            await self._ssh.create_session(lambda: channel, subsystem="sftp", encoding=None)
            await channel.begin(self.channels[0] if self.channels else None)
        self.channels.append(channel)

    async def _watching(self) -> None:
        """A request without an answer must not block an arrival for ever; one lost channel ends the connection."""
        while True:
            await asyncio.sleep(min(_LOOK_SECONDS, self.patience / 4))
            now = asyncio.get_running_loop().time()
            if lost := [channel for channel in self.channels if not channel.is_open]:
                self.end("the connection was closed" if lost else "")
                return
            if any(one.waiting and now - one.heard > self.patience for one in self.channels):
                self.end(f"the server did not answer for {self.patience:.0f} s")
                return
