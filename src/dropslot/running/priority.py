"""Lets a process work only when nothing else wants the processor or the disk."""

from __future__ import annotations

import ctypes
import os
import platform
import sys

_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
_IDLE = 3 << 13


def yield_to_all() -> None:
    """Give this process the lowest priority, for the processor and (on Linux, ioprio_set(2)) for the disk."""
    os.nice(19)
    number = _IOPRIO_SET.get(platform.machine()) if sys.platform == "linux" else None
    if number is not None:
        ctypes.CDLL(None).syscall(ctypes.c_long(number), 1, 0, _IDLE)
