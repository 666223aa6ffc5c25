"""Kills its own process at a chosen call, once. Kinds of destinations that tests register as plugins use it."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_calls: Counter[Path] = Counter()


@contextmanager
def deadly(flag: Path) -> Iterator[None]:
    """One call. `flag` says when the process is killed, as `before 2` or `after 2`, and is removed by it."""
    _calls[flag] += 1
    when, number = flag.read_text().split() if flag.exists() else ("", "0")
    is_now = int(number) == _calls[flag]
    if is_now and when == "before":
        _die(flag)
    yield
    if is_now:
        _die(flag)


def _die(flag: Path) -> None:
    flag.unlink()
    os.kill(os.getpid(), signal.SIGKILL)
