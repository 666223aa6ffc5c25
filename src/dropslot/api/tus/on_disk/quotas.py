"""How much an account has in uploads that are not finished."""

from __future__ import annotations

import threading
import time

from dropslot.api.tus.on_disk import places
from dropslot.api.tus.on_disk.tickets import Tickets
from dropslot.api.tus.problems import Problem

_AGAIN_SECONDS = 10.0  # what other processes receive is counted with this delay


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
            with _lock:
                _used[self._key] = (_used.get(self._key, (0, 0.0))[0] + count, _time_of(self._key))
            self.require(0)

    def changed(self) -> None:
        """Something was finished or removed: count again."""
        with _lock:
            _used.pop(self._key, None)

    @property
    def _key(self) -> tuple[str, str]:
        return str(self._tickets.folder), self._account

    def _used(self) -> int:
        with _lock:
            known, counted_at = _used.get(self._key, (0, float("-inf")))
        if time.monotonic() - counted_at < _AGAIN_SECONDS:
            return known
        own = (ticket for ticket, _ in self._tickets.all() if ticket.account == self._account)
        total = sum(places.received_bytes(ticket) for ticket in own if not ticket.ended)
        with _lock:
            _used[self._key] = (total, time.monotonic())
        return total


_lock = threading.Lock()
_used: dict[tuple[str, str], tuple[int, float]] = {}


def _time_of(key: tuple[str, str]) -> float:
    return _used.get(key, (0, float("-inf")))[1]
