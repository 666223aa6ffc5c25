"""Pause and cancel, from any thread."""

from __future__ import annotations

import threading

from dropslot.core.errors import DropslotError


class Paused(DropslotError):
    """The person paused: what was sent is kept, and the next send continues."""

    code = "paused"


class Cancelled(DropslotError):
    """The person cancelled."""

    code = "cancelled"


class Control:
    """Given to the engine; `pause` and `cancel` make its call end soon, with Paused or Cancelled."""

    def __init__(self) -> None:
        self._wanted = threading.Event()
        self._error: DropslotError | None = None

    def pause(self) -> None:
        """Stop; what was sent stays, and the next send continues there."""
        self._end(Paused("Paused", where="What was sent so far is kept", next_step="Send again to continue"))

    def cancel(self) -> None:
        """Stop, and remove what was sent of the bag that is under way."""
        self._end(Cancelled("Cancelled", where="The files are as new as before"))

    def check(self) -> None:
        """Raises what was asked for."""
        if self._error is not None:
            raise self._error

    def wait(self, seconds: float) -> None:
        """Wait for this time; raises Paused or Cancelled at once when it is asked for meanwhile."""
        self._wanted.wait(seconds)
        self.check()

    def _end(self, error: DropslotError) -> None:
        self._error = error
        self._wanted.set()
