"""Giving up every right, in several layers: if one layer lets something through, or is missing on this system,
another holds.

another account        when started by root; else the service's own
one thread             others that run already would keep their rights
no capability          effective, permitted, inheritable, ambient, and bounding where that may be changed
no_new_privs           nothing that is executed gains a right
limits                 memory, no process, no file written, no core, few descriptors
Landlock               no file can be opened, made or removed; no port; no signal to others
system calls           a list of what a parser needs; none that takes a path, makes a socket, a process or a trace
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import struct
import sys
from collections.abc import Callable

from dropslot.parsing import landlock, syscall_filter

NOBODY = 65534
MOST_OPEN = 64
_SET_DUMPABLE, _DROP_BOUNDING, _SET_NO_NEW_PRIVS, _AMBIENT, _CLEAR_ALL = 4, 24, 38, 47, 4
_CAPABILITIES_VERSION = 0x20080522
_MOST_CAPABILITIES = 64


def confine(memory_bytes: int, channel: int) -> list[str]:
    """Give up all rights of this process for good; only `channel` stays open. Returns the layers that are missing
    here, each with its reason; the others still hold."""
    os.closerange(3, channel)
    os.closerange(channel + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    layers: dict[str, Callable[[], None]] = {
        "another account": _become_nobody,
        "limits": lambda: _limit(memory_bytes),
    }
    if sys.platform == "linux":
        layers |= {
            "one thread": _require_one_thread,
            "no capability": _drop_capabilities,
            "no_new_privs": _gain_nothing,
            "Landlock": landlock.restrict,
            "system calls": syscall_filter.restrict,
        }
    missing = [f"{name}: {why}" for name, layer in layers.items() if (why := _fault_of(layer))]
    return (
        missing if sys.platform == "linux" else [*missing, "Landlock and system calls: only Linux has them"]
    )


def _fault_of(layer: Callable[[], None]) -> str:
    try:
        layer()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _become_nobody() -> None:
    if os.geteuid() != 0:
        return
    if sys.platform == "linux":
        _drop_bounding()  # afterwards it may not
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def _limit(memory_bytes: int) -> None:
    limits = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: MOST_OPEN,
        resource.RLIMIT_NPROC: 0,
    }
    for kind, most in limits.items():
        hard = resource.getrlimit(kind)[1]
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (least, least))


def _require_one_thread() -> None:
    """The filter of system calls and Landlock hold for this thread and those that it starts."""
    if (threads := len(os.listdir("/proc/self/task"))) > 1:
        raise OSError(errno.EBUSY, f"{threads} threads run")


def _drop_bounding() -> None:
    for capability in range(_MOST_CAPABILITIES):
        if ctypes.CDLL(None).prctl(_DROP_BOUNDING, capability, 0, 0, 0) != 0:
            return  # after the last one; or it is not allowed, and no_new_privs has the same effect


def _drop_capabilities() -> None:
    _prctl(_AMBIENT, _CLEAR_ALL)
    header = struct.pack("=Ii", _CAPABILITIES_VERSION, 0)
    if ctypes.CDLL(None, use_errno=True).capset(header, bytes(24)) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _gain_nothing() -> None:
    _prctl(_SET_NO_NEW_PRIVS, 1)
    _prctl(_SET_DUMPABLE, 0)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
