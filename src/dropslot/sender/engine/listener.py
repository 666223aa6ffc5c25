"""What the engine tells the command and the window while it works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from dropslot.core.errors import DropslotError
from dropslot.sender.file_states import SentFile
from dropslot.sender.plan import LeftFile, Plan


@dataclass(frozen=True, slots=True)
class Status:
    """How far an upload is. `seconds_left`: None while nobody can know. `current` is the file that moved last.
    `is_continued`: an earlier run began it."""

    files_done: int
    files: int
    bytes_done: int
    size_bytes: int
    rate: float
    seconds_left: float | None
    current: str = ""
    current_bytes: int = 0
    current_size_bytes: int = 0
    is_continued: bool = False


class Listener(Protocol):
    """Told by the engine, from any of its threads, one call at a time. Each call returns at once."""

    def planned(self, plan: Plan) -> None:
        """What is new, before it is sent."""

    def begun(self, bag: str, status: Status) -> None:
        """A bag is on its way; also one that an earlier run began: what is there already counts as done."""

    def progressed(self, status: Status) -> None:
        """Some more bytes; at most ten times a second."""

    def changed(self, file: SentFile) -> None:
        """A file has another state."""

    def left(self, file: LeftFile) -> None:
        """A file stays for next time: it changed, vanished or cannot be read."""

    def retrying(self, error: DropslotError, seconds: float) -> None:
        """The connection or the server failed; it is tried again after so many seconds."""

    def warned(self, sentence: str) -> None:
        """Something that the person should read, and that stops nothing."""


class Silent:
    """Ignores everything; a listener may derive from it and hear what it needs."""

    def planned(self, plan: Plan) -> None:
        pass

    def begun(self, bag: str, status: Status) -> None:
        pass

    def progressed(self, status: Status) -> None:
        pass

    def changed(self, file: SentFile) -> None:
        pass

    def left(self, file: LeftFile) -> None:
        pass

    def retrying(self, error: DropslotError, seconds: float) -> None:
        pass

    def warned(self, sentence: str) -> None:
        pass
