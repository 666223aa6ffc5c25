"""How much an account has in uploads that are not finished."""

from __future__ import annotations

import threading
import time

from dropslot.api.tus.on_disk import places
from dropslot.api.tus.on_disk.tickets import Tickets
from dropslot.api.tus.problems import Problem
from dropslot.core.context import kept

_AGAIN_SECONDS = 10.0  # what other processes receive is counted with this delay


_Key = tuple[str, str]  # folder and account


class _Used:
    """The bytes of each account as this process counted them, and when it counted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counted: dict[_Key, tuple[int, float]] = {}

    def get(self, key: _Key) -> int | None:
        """None: it has to be counted."""
        known, at = self._counted.get(key, (0, float("-inf")))
        return known if time.monotonic() - at < _AGAIN_SECONDS else None

    def put(self, key: _Key, total: int) -> None:
        with self._lock:
            self._counted[key] = (total, time.monotonic())

    def add(self, key: _Key, count: int) -> None:
        with self._lock:
            known, at = self._counted.get(key, (0, float("-inf")))
            self._counted[key] = (known + count, at)

    def forget(self, key: _Key) -> None:
        with self._lock:
            self._counted.pop(key, None)


class Quota:
    """What one account may still send, in bytes. `limit` None: as much as it likes."""

    def __init__(self, tickets: Tickets, account: str, limit: int | None) -> None:
        self._tickets, self._account, self._limit = tickets, account, limit

    def require(self, more: int) -> None:
        """Raise Problem unless so many more bytes fit."""
        if self._limit is None or self._used() + more <= self._limit:
            return
        raise Problem(
            413,
            f"Your unfinished uploads would have more than {self._limit:,} bytes, the limit for an account",
            "Finish or cancel other uploads of yours, then resume this one",
        )

    def received(self, count: int) -> None:
        """So many bytes were written. Raises Problem if no more fit."""
        if self._limit is not None:
            kept(_Used).add(self._key, count)
            self.require(0)

    def changed(self) -> None:
        """Something was finished or removed: count again."""
        kept(_Used).forget(self._key)

    @property
    def _key(self) -> _Key:
        return str(self._tickets.folder), self._account

    def _used(self) -> int:
        if (known := kept(_Used).get(self._key)) is not None:
            return known
        own = (ticket for ticket, _ in self._tickets.all() if ticket.account == self._account)
        total = sum(places.received_bytes(ticket) for ticket in own if not ticket.ended)
        kept(_Used).put(self._key, total)
        return total
