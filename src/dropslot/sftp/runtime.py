"""The event loop of this process, in a thread of its own, and the connections that it keeps: one an account.

Safe with fork: a child forgets both (without touching a descriptor that its parent goes on using) and makes its own.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

from dropslot.core.errors import DestinationUnready
from dropslot.sftp.channel import ConnectionGone
from dropslot.sftp.connection import Connection
from dropslot.sftp.login import LoginRefused
from dropslot.sftp.ssh_account import Account
from dropslot.sftp.wire import Garbled

T = TypeVar("T")
_END_SECONDS = 2.0
_SOON_SECONDS = 0.9  # before the first arrival is retried
_LONGEST_SECONDS = 60.0


class _Failure(NamedTuple):
    """The last attempt to connect: it is not repeated before `until`, by the loop's clock."""

    error: DestinationUnready
    seconds: float
    until: float


class Runtime:
    """One loop with its thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.connections: dict[Account, Connection] = {}
        self._locks: dict[Account, asyncio.Lock] = {}
        self._failures: dict[Account, _Failure] = {}
        self._thread = threading.Thread(target=self._run, name="dropslot-sftp", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of the coroutine, or its exception; called from any other thread."""
        future = self.start(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin it; the future gives what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    async def connection(self, account: Account) -> Connection:
        """The kept connection of an account, made again if it is gone. Raises DestinationUnready and its like."""
        async with self._locks.setdefault(account, asyncio.Lock()):
            kept = self.connections.get(account)
            if kept is None or not kept.is_open:
                if kept is not None:
                    kept.end("it was lost")
                self.connections.pop(account, None)
                kept = self.connections[account] = await self._open(account)
            return kept

    async def _open(self, account: Account) -> Connection:
        """A new connection. If it was refused, or took long, it is not retried at once: all waiting arrivals would
        wait for it one after the other, and so many logins could lock the account."""
        last = self._failures.get(account)
        begun = self.loop.time()
        if last and begun < last.until:
            raise last.error.with_traceback(None)
        try:
            opened = await Connection.open(account)
        except DestinationUnready as error:
            took = self.loop.time() - begun
            # A person who signs in decides when to try again.
            if not account.client and (isinstance(error, LoginRefused) or took > _SOON_SECONDS):
                wait = min(max(_SOON_SECONDS, took, 2 * last.seconds if last else 0), _LONGEST_SECONDS)
                self._failures[account] = _Failure(error, wait, self.loop.time() + wait)
            raise
        self._failures.pop(account, None)
        return opened

    def close(self) -> None:
        """End every connection and the thread."""
        self.loop.call_soon_threadsafe(self._end)
        self._thread.join(_END_SECONDS)

    def _end(self) -> None:
        for connection in self.connections.values():
            connection.end("this process ends")
        self.connections.clear()
        self.loop.call_later(0.02, self.loop.stop)  # the connections still have work to close

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            self.loop.close()


# Not in the process's context: a loop that is only forgotten would go on, with its connections open at the servers.
_lock = threading.Lock()
_current: Runtime | None = None
_abandoned: list[Runtime] = []  # never collected: that would remove descriptors from the parent's epoll


def current() -> Runtime:
    """This process's runtime."""
    global _current
    with _lock:
        if _current is None:
            _current = Runtime()
        return _current


def run(work: Callable[[Connection], Coroutine[Any, Any, T]], account: Account) -> T:
    """The result of `work` with the account's connection."""
    runtime = current()

    async def with_connection() -> T:
        connection = await runtime.connection(account)
        try:
            return await work(connection)
        except (ConnectionGone, Garbled):
            connection.end("it was lost")  # others may not know it yet: the next use makes a new one
            raise

    return runtime.run(with_connection())


def run_again(work: Callable[[Connection], Coroutine[Any, Any, T]], account: Account) -> T:
    """As `run`, for work that may be repeated: after a lost connection it is repeated once, over a new one."""
    try:
        return run(work, account)
    except (ConnectionGone, Garbled):
        return run(work, account)


def close() -> None:
    """End all connections of this process, as at its end; the next use makes new ones."""
    global _current
    with _lock:
        runtime, _current = _current, None
    if runtime:
        runtime.close()


def _forget() -> None:
    global _current, _lock
    _lock = threading.Lock()  # another thread may have held it at the fork
    if _current is not None:
        _abandoned.append(_current)
        _current = None


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget)
atexit.register(close)
