"""What a parser is given: a descriptor of a regular file, open for reading alone."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

_AT_ONCE = 1 << 20


@contextmanager
def descriptor_of(staged: BinaryIO, most_bytes: int = -1) -> Iterator[int]:
    """A descriptor of these bytes: the staged file itself, or a copy in memory of what lies elsewhere (the first
    `most_bytes` of it, when there are more)."""
    try:
        own = staged.fileno()
    except (OSError, AttributeError):
        own = -1
    if own >= 0 and stat.S_ISREG(os.fstat(own).st_mode):
        with _for_reading(own) as descriptor:
            yield descriptor
        return
    with os.fdopen(os.memfd_create("parsed", os.MFD_CLOEXEC), "w+b") as copy:
        while most_bytes and (some := staged.read(_AT_ONCE if most_bytes < 0 else min(_AT_ONCE, most_bytes))):
            copy.write(some)
            most_bytes -= len(some) if most_bytes > 0 else 0
        copy.flush()
        with _for_reading(copy.fileno()) as descriptor:
            yield descriptor


@contextmanager
def _for_reading(descriptor: int) -> Iterator[int]:
    if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        yield descriptor
        return
    again = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield again
    finally:
        os.close(again)
