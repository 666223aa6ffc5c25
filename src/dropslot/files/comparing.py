"""Looking at a source again while something else is done: a large one in a forked child."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Self

from dropslot.files.listing import Listing
from dropslot.files.sharing import Child
from dropslot.files.walk import changed

MANY = 5_000  # looking at this many items takes about as long as a fork


class Comparison:
    """Begins at once, so not before all items are staged; `differences` waits for it. A context manager."""

    def __init__(self, source: Path, listing: Listing) -> None:
        self._source, self._listing = source, listing
        self._child = Child.fork(self._told) if len(listing.items) >= MANY else None
        self._found: list[str] | None = None

    def differences(self) -> list[str]:
        """As `walk.changed`. Raises what that raises, or StorageFault when the child was killed."""
        if self._found is None:
            told = self._child.received() if self._child else self._told()
            self._found = json.loads(told[0])
        return self._found

    def _told(self) -> dict[int, bytes]:
        return {0: json.dumps(changed(self._source, self._listing)).encode()}

    def __enter__(self) -> Self:
        if self._child:
            self._child.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child:
            self._child.__exit__(kind, error, trace)
