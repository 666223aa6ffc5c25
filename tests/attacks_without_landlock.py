"""`attacks` where the kernel has no Landlock."""

from __future__ import annotations

import errno

from attacks import parse
from dropslot.parsing import landlock

__all__ = ["parse", "prepare"]


def _has_none() -> None:
    raise OSError(errno.ENOSYS, "Function not implemented")


def prepare() -> None:
    landlock.restrict = _has_none
