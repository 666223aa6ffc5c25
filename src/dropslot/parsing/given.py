"""What a parser gets: a descriptor of a regular file, open for reading only."""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import ExitStack
from typing import BinaryIO

_AT_ONCE = 1 << 20


def descriptor_of(staged: BinaryIO, until: ExitStack, most_bytes: int = -1) -> int:
    """A descriptor of these bytes: of the staged file itself, or of a copy in memory if the bytes are elsewhere (only
    the first `most_bytes`). It is valid as long as the file and `until` are open."""
    try:
        own = staged.fileno()
    except (OSError, AttributeError):
        own = -1
    if own < 0 or not stat.S_ISREG(os.fstat(own).st_mode):
        return _for_reading(_copy(staged, until, most_bytes), until)
    is_safe = fcntl.fcntl(own, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
    return own if is_safe else _for_reading(own, until)


def _copy(staged: BinaryIO, until: ExitStack, most_bytes: int) -> int:
    copy = until.enter_context(os.fdopen(os.memfd_create("parsed", os.MFD_CLOEXEC), "w+b"))
    left = most_bytes
    while left and (some := staged.read(_AT_ONCE if left < 0 else min(_AT_ONCE, left))):
        copy.write(some)
        left -= len(some) if left > 0 else 0
    copy.flush()
    return copy.fileno()


def _for_reading(descriptor: int, until: ExitStack) -> int:
    again = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    until.callback(os.close, again)
    return again
