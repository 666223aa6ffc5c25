"""System calls that Python lacks (Linux only): renameat2, syncfs, sync_file_range, statfs, prctl, quotactl_fd. Also
`write_all`.

Each raises OSError like those of `os`. If the C library has no such function, it raises ENOSYS.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable
from typing import Any

RENAME_NOREPLACE = 1
SYNC_FILE_RANGE_WRITE = 2
PR_SET_PDEATHSIG = 1
_QUOTACTL_FD = 443  # the C library lacks it; the same number on all kinds of machines but Alpha

_libc = ctypes.CDLL(None, use_errno=True)


def _function(name: str, *arguments: Any) -> Callable[..., int]:
    try:
        function = getattr(_libc, name)
    except AttributeError:  # an old or another C library
        return _missing
    function.argtypes = arguments
    function.restype = ctypes.c_int
    return function  # type: ignore[no-any-return]


def _missing(*_arguments: object) -> int:
    ctypes.set_errno(errno.ENOSYS)
    return -1


_renameat2 = _function(
    "renameat2", ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint
)
_syncfs = _function("syncfs", ctypes.c_int)
_sync_file_range = _function("sync_file_range", ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
_fstatfs = _function("fstatfs", ctypes.c_int, ctypes.c_void_p)
_syscall = _function("syscall", ctypes.c_long, ctypes.c_int, ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p)
_prctl = _function("prctl", ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)


def _raise(*names: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), *names)


def rename_no_replace(from_folder: int, name: str, to_folder: int, new_name: str) -> None:
    """renameat2(RENAME_NOREPLACE) between two folder descriptors: atomic, and EEXIST if the new name is taken.

    EINVAL or ENOSYS: the file system or kernel has no such operation.
    """
    if _renameat2(from_folder, os.fsencode(name), to_folder, os.fsencode(new_name), RENAME_NOREPLACE):
        _raise(name)


def syncfs(descriptor: int) -> None:
    """Make everything that was written to the descriptor's file system durable.

    Since Linux 5.8 it raises write-back errors since `descriptor` was opened, so open it before the first write.
    """
    if _syncfs(descriptor):
        _raise()


def start_writeback(descriptor: int, offset: int = 0, size: int = 0) -> None:
    """Start writing dirty pages to the disk, without waiting (size 0: to the end). A hint: errors come at the sync."""
    _sync_file_range(descriptor, offset, size, SYNC_FILE_RANGE_WRITE)


def file_system_magic(descriptor: int) -> int:
    """statfs(2) f_type of the descriptor's file system."""
    buffer = (ctypes.c_long * 32)()
    if _fstatfs(descriptor, ctypes.byref(buffer)):
        _raise()
    return int(buffer[0]) & 0xFFFFFFFF


def quotactl_fd(descriptor: int, command: int, number: int, size: int) -> bytes:
    """quotactl_fd(2): the `size` bytes that the kernel answers about account, group or project `number`, on the file
    system of an open folder. ENOSYS before Linux 5.14, ESRCH where no such quota is kept, EPERM for others' quotas."""
    buffer = ctypes.create_string_buffer(size)
    if _syscall(_QUOTACTL_FD, descriptor, command, number, ctypes.cast(buffer, ctypes.c_void_p)):
        _raise()
    return buffer.raw


def die_with_parent(signal_number: int) -> None:
    """Have the kernel send this process `signal_number` when the thread that forked it ends."""
    _prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)


def write_all(out: int, data: memoryview) -> None:
    """Write all bytes, even if single writes are short."""
    while data:
        data = data[os.write(out, data) :]
