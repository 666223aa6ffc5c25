"""What the engine says while it works, kept until the window looks: some ten times a second, so that a thousand small
files do not mean a thousand paintings."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

from dropslot.core.errors import DropslotError
from dropslot.sender.engine.listener import Silent, Status
from dropslot.sender.file_states import REFUSED, SentFile
from dropslot.sender.plan import LeftFile

_MOST_CHANGED, _MOST_REASONS = 1000, 20


@dataclass
class Heard:
    """Since the last look. `status`: the newest; `retrying`: the error and the seconds until the next try. `changed`:
    the files that have another state, of `changes` so many that the window can mark each by itself. `receipts`: how
    many files of a study got a state by a receipt; `reasons`: why some were refused."""

    status: Status | None = None
    changed: list[SentFile] = field(default_factory=list)
    changes: int = 0
    receipts: Counter[tuple[str, str]] = field(default_factory=Counter)
    reasons: set[str] = field(default_factory=set)
    left: list[LeftFile] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    retrying: tuple[DropslotError, float] | None = None


class Hearing(Silent):
    """The engine's `Listener`; `take` is called by the window."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heard = Heard()

    def take(self) -> Heard:
        with self._lock:
            heard, self._heard = self._heard, Heard()
        return heard

    def begun(self, bag: str, status: Status) -> None:  # noqa: ARG002 - the engine's words
        self.progressed(status)

    def progressed(self, status: Status) -> None:
        with self._lock:
            self._heard.status, self._heard.retrying = status, None

    def changed(self, file: SentFile) -> None:
        with self._lock:
            heard = self._heard
            heard.changes += 1
            if heard.changes <= _MOST_CHANGED:
                heard.changed.append(file)
            if file.arrival:
                heard.receipts[file.study, file.state] += 1
                if file.state == REFUSED and file.reason and len(heard.reasons) < _MOST_REASONS:
                    heard.reasons.add(file.reason)

    def left(self, file: LeftFile) -> None:
        with self._lock:
            self._heard.left.append(file)

    def retrying(self, error: DropslotError, seconds: float) -> None:
        with self._lock:
            self._heard.retrying = (error, seconds)

    def warned(self, sentence: str) -> None:
        with self._lock:
            self._heard.warnings.append(sentence)
