"""When a recording is done: its files have not changed for a while."""

from __future__ import annotations

import math
from collections.abc import Iterable

from dropslot.sender.plan import NewFile

_LONGEST = 10  # times `settle_seconds`


class Quiet:
    """Remembers since when each new file is as it is, by the monotonic clock: what times a file has says nothing."""

    def __init__(self, settle_seconds: float) -> None:
        self._settle = settle_seconds
        self._since: dict[NewFile, float] = {}

    def due(self, new: Iterable[NewFile], now: float) -> frozenset[str]:
        """The paths to send now: all new files, when all are quiet. Files that never become quiet hold up the others
        for ten times as long, and no longer."""
        self._since = {file: self._since.get(file, now) for file in new}
        quiet = {file: now - since for file, since in self._since.items() if now - since >= self._settle}
        if len(quiet) == len(self._since) or max(quiet.values(), default=0) >= _LONGEST * self._settle:
            return frozenset(file.path for file in quiet)
        return frozenset()

    def wait_seconds(self, now: float) -> float:
        """How long until all that is new may be due; infinite, if nothing is."""
        left = [since + self._settle - now for since in self._since.values()]
        return max(0.0, *left) if left else math.inf
