"""The clock of a machine, which a test sets."""

from __future__ import annotations

from pathlib import Path

# Python runs a module of this name in each process that it starts. What cannot read the file keeps its time.
_SITE = """
import time
from contextlib import suppress
from datetime import datetime, timedelta, timezone as zones
from django.utils import timezone
real, real_ns, real_now, by = time.time, time.time_ns, timezone.now, [0]
def step():
    with suppress(OSError, ValueError):
        by[0] = int(open({file!r}).read())
    return by[0]
time.time = lambda: real() + step()
time.time_ns = lambda: real_ns() + step() * 1_000_000_000
timezone.now = lambda: real_now() + timedelta(seconds=step())
"""


class Clock:
    """The clock of the programs that have `path` in PYTHONPATH: of Python, and of Django. SQLite's own stays right."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(_SITE.format(file=str(self._file)))
        self.path = str(folder)
        self.step(0)

    def step(self, seconds: int) -> None:
        """Set it so far from the right time."""
        new = self._file.with_suffix(".new")
        new.write_text(str(seconds))
        new.rename(self._file)
