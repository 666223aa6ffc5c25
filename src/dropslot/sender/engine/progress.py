"""What an upload reports goes into the ledger, and to the listener."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from dropslot.sender.engine.control import Control
from dropslot.sender.engine.listener import Listener, Status
from dropslot.sender.engine.rates import Rate
from dropslot.sender.ledger.bags import Bag, BagFile, Bags
from dropslot.sender.local_paths import shown_path
from dropslot.sender.plan import LeftFile

_RECORD_SECONDS = 0.2  # a kill loses no more of the ledger's records than this
_SHOW_SECONDS = 0.1


class UploadProgress:
    """The progress of one bag; its calls come from any thread."""

    def __init__(
        self, bag: Bag, files: Sequence[BagFile], bags: Bags, listener: Listener, control: Control
    ) -> None:
        self._bag, self._bags, self._listener, self._control = bag, bags, listener, control
        self._files = {each.path: each for each in files}
        self._sent = {each.path: each.size_bytes if each.sha256 else each.reached for each in files}
        self._finished = {each.path for each in files if each.sha256}
        self._bytes, self._size = sum(self._sent.values()), sum(each.size_bytes for each in files)
        self._reached: dict[str, int] = {}
        self._done: dict[str, str] = {}
        self._left: list[str] = []
        self._lock = threading.RLock()
        self._rate, self._current = Rate(), ""
        self._recorded = self._shown = time.monotonic()
        self._rate.add(self._bytes, len(self._finished))

    def moved(self, path: str, size_bytes: int) -> None:
        """Bytes that went over the line."""
        with self._lock:
            name = _payload(path)
            most = self._files[name].size_bytes - self._sent.get(name, 0)
            gain = min(size_bytes, max(most, 0))  # bytes that are sent twice are no progress
            self._sent[name] = self._sent.get(name, 0) + gain
            self._bytes += gain
            self._current = name
            self._show()

    def reached(self, path: str, durable_bytes: int) -> None:
        """An upload can be resumed there."""
        with self._lock:
            self._reached[_payload(path)] = durable_bytes

    def done(self, path: str, sha256: str) -> None:
        """A file is whole at the server."""
        with self._lock:
            name = _payload(path)
            size = self._files[name].size_bytes
            self._bytes += size - self._sent.get(name, 0)
            self._sent[name] = size
            self._finished.add(name)
            self._done[name] = sha256
            self._show()

    def left(self, path: str, reason: str) -> None:
        """A file stays for next time."""
        with self._lock:
            name = _payload(path)
            file = self._files.pop(name)
            self._size -= file.size_bytes
            self._bytes -= self._sent.pop(name, 0)
            self._finished.discard(name)
            self._left.append(name)
            self._listener.left(
                LeftFile(file.source, name, "changed", f"{shown_path(file.source)}: {reason}")
            )

    def check(self) -> None:
        """Raises when the person wants an end; otherwise now and then writes down what is done."""
        self._control.check()
        if time.monotonic() - self._recorded > _RECORD_SECONDS:
            self.record()

    def record(self) -> None:
        """Write down what is done."""
        with self._lock:
            self._recorded = time.monotonic()
            if self._reached or self._done or self._left:
                self._bags.record(self._bag, self._reached, self._done, self._left)
            self._reached, self._done, self._left = {}, {}, []

    @property
    def mark(self) -> tuple[int, int]:
        """Differs from an earlier one if there was progress."""
        with self._lock:
            return self._bytes, len(self._finished)

    def status(self) -> Status:
        """How far it is."""
        with self._lock:
            current = self._files.get(self._current)
            rest_bytes, rest_files = self._size - self._bytes, len(self._files) - len(self._finished)
            return Status(
                len(self._finished),
                len(self._files),
                self._bytes,
                self._size,
                self._rate.bytes_a_second,
                self._rate.seconds_left(rest_bytes, rest_files),
                self._current if current else "",
                self._sent.get(self._current, 0) if current else 0,
                current.size_bytes if current else 0,
            )

    def _show(self) -> None:
        now = time.monotonic()
        if now - self._shown > _SHOW_SECONDS:
            self._shown = now
            self._rate.add(self._bytes, len(self._finished))
            self._listener.progressed(self.status())


def _payload(path: str) -> str:
    return path.removeprefix("data/")
