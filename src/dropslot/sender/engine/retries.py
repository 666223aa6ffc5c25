"""Tries again what may heal by itself, until it is done or there is no hope left."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from dropslot.core.errors import DropslotError
from dropslot.sender.engine.control import Control
from dropslot.sender.engine.inbox_connection import Connections
from dropslot.sender.engine.listener import Listener
from dropslot.sender.inbox import Inbox

T = TypeVar("T")

PATIENCE_SECONDS = 600.0
_LONGEST_SECONDS = 60.0
_FEW_TRIES = 3
_CLEANING_SECONDS = 30.0
# These do not heal within minutes: a person has to do something.
_FOR_PEOPLE = frozenset({"disk-full", "quota", "inbox-missing", "no-signers"})
NEVER = frozenset({"login-refused", "host-key-unknown", "host-key-changed"})


@dataclass(slots=True)
class _Trouble:
    """Failures since the last progress."""

    since: float
    mark: object
    tries: int = 0


class Retries:
    """`patience_seconds`: how long without any progress, until the error is raised. A server that never answered is
    given a few tries only: its address may be wrong."""

    def __init__(
        self, connections: Connections, listener: Listener, control: Control, patience_seconds: float
    ) -> None:
        self._connections, self._listener, self._control = connections, listener, control
        self._patience = patience_seconds

    def control_free(self) -> Retries:
        """The same, but a cancel that was asked for does not end it: for cleaning up after the cancel."""
        return Retries(self._connections, self._listener, Control(), _CLEANING_SECONDS)

    def run(self, work: Callable[[Inbox], T], mark: Callable[[], object] = lambda: None) -> T:
        """Do the work with a signed-in inbox; it continues where it was when it is called again. `mark` differs after
        progress."""
        trouble = _Trouble(time.monotonic(), mark())
        while True:
            self._control.check()
            try:
                return work(self._connections.inbox())
            except DropslotError as error:
                trouble = self._judged(error, trouble, mark())

    def _judged(self, error: DropslotError, trouble: _Trouble, mark: object) -> _Trouble:
        """Wait, if it is worth another try; else raise the error."""
        if not error.retryable or error.code in NEVER:
            raise error
        now = time.monotonic()
        if trouble.tries == 0 or mark != trouble.mark:
            trouble = _Trouble(now, mark)
        trouble.tries += 1
        few = error.code in _FOR_PEOPLE or not self._connections.was_signed_in
        if now - trouble.since > self._patience or (few and trouble.tries >= _FEW_TRIES):
            raise error
        seconds = min(_LONGEST_SECONDS, 2.0 ** (trouble.tries - 1)) * random.uniform(0.5, 1.0)
        self._listener.retrying(error, seconds)
        self._control.wait(seconds)
        return trouble
