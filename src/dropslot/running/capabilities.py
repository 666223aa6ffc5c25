"""Giving up root's rights, except CAP_CHOWN. Linux only; see capabilities(7)."""

from __future__ import annotations

import ctypes
import os

_CAP_CHOWN = 0
_PR_SET_KEEPCAPS, _PR_CAP_AMBIENT = 8, 47
_PR_CAP_AMBIENT_RAISE, _PR_CAP_AMBIENT_CLEAR_ALL = 2, 4
_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def become_with_chown(uid: int) -> None:
    """Set all user ids of this process to `uid` and keep CAP_CHOWN alone, ambient: programs that are started have it
    too, as under the systemd unit. Raises OSError."""
    _call(_libc.prctl, _PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setresuid(uid, uid, uid)
    chown = 1 << _CAP_CHOWN
    sets = (_Sets * 2)(_Sets(chown, chown, chown), _Sets(0, 0, 0))
    _call(_libc.capset, ctypes.byref(_Header(_VERSION_3, 0)), sets)
    _call(_libc.prctl, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_CHOWN, 0, 0)


def drop_ambient() -> None:
    """The program that this process executes next has no capability of it. Raises OSError."""
    _call(_libc.prctl, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)


def _call(function: object, *arguments: object) -> None:
    if function(*arguments):  # type: ignore[operator]
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
