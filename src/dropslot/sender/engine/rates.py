"""How fast an upload is, and how long the rest takes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

_WINDOW_SECONDS = 15.0
_FIRST_SECONDS = 1.0  # before that nobody can know
_FILE_BYTES = (
    50_000  # what a file costs beyond its bytes, as bytes: with many small files it is most of the work
)


class Rate:
    """Fed with what is done; looks back a quarter of a minute, so that a pause is soon forgotten."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, int, int]] = deque()

    def add(self, bytes_done: int, files_done: int) -> None:
        """What is done now."""
        now = self._clock()
        self._samples.append((now, bytes_done, files_done))
        while len(self._samples) > 2 and now - self._samples[1][0] > _WINDOW_SECONDS:
            self._samples.popleft()

    @property
    def bytes_a_second(self) -> float:
        """The rate of late; 0 at the beginning."""
        seconds = self._seconds()
        return (self._samples[-1][1] - self._samples[0][1]) / seconds if seconds else 0.0

    def seconds_left(self, rest_bytes: int, rest_files: int) -> float | None:
        """The time that the rest takes at the rate of late; None while nobody can know. A file counts as some bytes
        more than it has."""
        seconds = self._seconds()
        if seconds < _FIRST_SECONDS:
            return None
        (_, bytes_before, files_before), (_, bytes_now, files_now) = self._samples[0], self._samples[-1]
        work = bytes_now - bytes_before + (files_now - files_before) * _FILE_BYTES
        rest = rest_bytes + rest_files * _FILE_BYTES
        return rest * seconds / work if work > 0 else None

    def _seconds(self) -> float:
        return self._samples[-1][0] - self._samples[0][0] if len(self._samples) > 1 else 0.0
