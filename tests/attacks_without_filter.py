"""`attacks` where the kernel does not filter system calls."""

from __future__ import annotations

import errno

from attacks import parse
from dropslot.parsing import syscall_filter

__all__ = ["parse", "prepare"]


def _has_none() -> None:
    raise OSError(errno.ENOSYS, "Function not implemented")


def prepare() -> None:
    syscall_filter.restrict = _has_none
