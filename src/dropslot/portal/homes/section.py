"""What a section of the first page is, and how its facts are kept for some seconds, so that many browsers that look at
the same thing cost little."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, NamedTuple

from dropslot.access.roles import Role
from dropslot.access.seen import Access
from dropslot.core.context import kept

_MOST_KEPT = 500
Facts = Mapping[str, Any]


class Section(NamedTuple):
    """One section. `facts` are what its template shows; their key `urgent` says whether somebody should act, which
    puts it first. They are found anew after `seconds`."""

    name: str
    roles: frozenset[Role]
    facts: Callable[[Access], Facts]
    seconds: float = 3.0

    def known(self, access: Access) -> Facts:
        """Its facts, at most `seconds` old."""
        facts: Facts = kept(Remembered).get(
            (self.name, scope(access)), self.seconds, lambda: self.facts(access)
        )
        return facts

    def found(self, access: Access) -> Facts:
        """Its facts as they are now."""
        facts = self.facts(access)
        kept(Remembered).put((self.name, scope(access)), facts, self.seconds)
        return facts


def scope(access: Access) -> Hashable:
    """What decides what an account sees: two accounts with the same one see the same."""
    own = access.name if access.has({Role.SENDER}) else ""
    grants = frozenset(
        (grant.role, grant.route, grant.folder, grant.field, grant.value) for grant in access.grants
    )
    return str(access.config.data), own, grants


@dataclass(slots=True)
class _Entry:
    lock: threading.Lock = field(default_factory=threading.Lock)
    until: float = 0.0
    value: Any = None


class Remembered:
    """Values that are kept for some seconds. While one is made, others who want it wait instead of making it too."""

    def __init__(self) -> None:
        self._entries: dict[Hashable, _Entry] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, seconds: float, make: Callable[[], Any]) -> Any:
        """The value under a key; made if there is none, or it is too old. Raises what `make` raises."""
        entry = self._entry(key)
        with entry.lock:
            if monotonic() >= entry.until:
                entry.value = make()
                entry.until = monotonic() + seconds
            return entry.value

    def put(self, key: Hashable, value: Any, seconds: float) -> None:
        """Replace a value by one that was just made."""
        entry = self._entry(key)
        with entry.lock:
            entry.value, entry.until = value, monotonic() + seconds

    def _entry(self, key: Hashable) -> _Entry:
        with self._lock:
            if len(self._entries) >= _MOST_KEPT and key not in self._entries:
                self._entries.clear()
            return self._entries.setdefault(key, _Entry())
