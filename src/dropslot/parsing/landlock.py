"""Landlock (landlock(7)): this process may open, make, change or remove no file by a path, whoever owns it."""

from __future__ import annotations

import ctypes
import os
import struct

_CREATE_RULESET, _RESTRICT_SELF = 444, 446  # the same numbers on every machine
_ASK_VERSION = 1
# What each version of the kernel's interface can forbid. A right that it does not know is an error.
_FILES = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_PORTS = {4: 0b11}  # TCP: bind, connect
_SCOPES = {6: 0b11}  # abstract sockets and signals of other processes


def restrict() -> None:
    """Forbid all that this kernel can forbid; no rule allows anything. Raises OSError where there is no Landlock."""
    version = _call(_CREATE_RULESET, None, 0, _ASK_VERSION)
    # An older kernel accepts only the shorter structure.
    attributes = struct.pack("=QQQ", *(_known(rights, version) for rights in (_FILES, _PORTS, _SCOPES)))
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = _call(_CREATE_RULESET, attributes, size, 0)
    try:
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _known(rights: dict[int, int], version: int) -> int:
    return max((bits for since, bits in rights.items() if since <= version), default=0)


def _call(number: int, *arguments: bytes | int | None) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    wide = (each if isinstance(each, bytes) or each is None else ctypes.c_long(each) for each in arguments)
    answer = int(libc.syscall(ctypes.c_long(number), *wide))
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer
