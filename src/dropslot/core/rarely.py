"""A value that is made again only when it has become old: for numbers that many ask for and that cost something."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

_Made = TypeVar("_Made")


class Rarely(Generic[_Made]):
    """Keeps what `make` returned for `seconds`, and for at least `times` as long as it took: making it takes at most
    one part in `times` of a processor, however often it is asked for. Of several threads one makes it."""

    def __init__(self, make: Callable[[], _Made], *, seconds: float, times: float = 20) -> None:
        self._make, self._seconds, self._times = make, seconds, times
        self._lock = threading.Lock()
        self._kept: _Made | None = None
        self._until = 0.0

    def get(self) -> _Made:
        """The value. Raises what `make` raises; then nothing is kept."""
        with self._lock:
            if self._kept is None or time.monotonic() >= self._until:
                began = time.monotonic()
                self._kept = self._make()
                now = time.monotonic()
                self._until = now + max(self._seconds, self._times * (now - began))
            return self._kept
