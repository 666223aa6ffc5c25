"""A filter of system calls (seccomp(2)): it allows what a parser needs; all others fail with EPERM.

It computes in memory that it has, reads descriptors that it was given and answers on its channel. It allows no call
that takes a path, not even stat, and none that makes a socket, a process, executable memory or a signal for others.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator

# Name: number on x86-64 and on 64-bit ARM (None: it has no such call).
_ALLOWED: dict[str, tuple[int, int | None]] = {
    "read": (0, 63),
    "close": (3, 57),
    "lseek": (8, 62),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "pread64": (17, 67),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "setitimer": (38, 103),
    "getpid": (39, 172),
    "recvmsg": (47, 212),
    "exit": (60, 93),
    "gettimeofday": (96, 169),
    "sigaltstack": (131, 132),
    "gettid": (186, 178),
    "time": (201, None),
    "futex": (202, 98),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "exit_group": (231, 94),
    "getrandom": (318, 278),
}
_MAP, _PROTECT, _SEND, _CONTROL, _KILL = (9, 222), (10, 226), (44, 206), (72, 25), (234, 131)
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column above, AUDIT_ARCH of the kernel
_OTHER_ABI = 0x40000000  # x32: the same numbers for other calls
_POINTER_BYTES = struct.calcsize("P")  # a 32-bit program on a 64-bit kernel has numbers of its own

_PROT_EXEC, _DUPLICATE_CLOEXEC = 4, 1030
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _REFUSE, _END = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_SET_SECCOMP, _FILTER = 22, 2

Instruction = tuple[int, int, int, int]


def restrict() -> None:
    """Filter this process's system calls for good. Raises OSError if that is not possible. Needs no_new_privs."""
    if platform.machine() not in _MACHINES or _POINTER_BYTES != 8:
        bits = f"{8 * _POINTER_BYTES}-bit programs on {platform.machine()}"
        raise OSError(errno.ENOSYS, f"no list of system calls for {bits}")
    program = [struct.pack("=HBBI", *each) for each in _program(*_MACHINES[platform.machine()], os.getpid())]
    instructions = ctypes.create_string_buffer(b"".join(program))
    described = struct.pack("@HP", len(program), ctypes.addressof(instructions))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_SET_SECCOMP, ctypes.c_long(_FILTER), described, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _program(column: int, architecture: int, own: int) -> Iterator[Instruction]:
    yield from [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _END)]
    yield from [(_LOAD, 0, 0, _NUMBER), (_AT_LEAST, 0, 1, _OTHER_ABI), (_RETURN, 0, 0, _REFUSE)]
    for numbers in _ALLOWED.values():
        if (number := numbers[column]) is not None:
            yield from [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    for numbers in (_MAP, _PROTECT):
        yield from _if(numbers[column], 2, [(_ANY_BIT, 1, 0, _PROT_EXEC)])
    # Without an address: only to the other end.
    yield from _if(_SEND[column], 4, [(_EQUAL, 0, 3, 0), (_LOAD, 0, 0, _high(4)), (_EQUAL, 0, 1, 0)])
    yield from _if(_CONTROL[column], 1, [(_EQUAL, 0, 1, _DUPLICATE_CLOEXEC)])
    yield from _if(_KILL[column], 0, [(_EQUAL, 0, 1, own)])
    yield (_RETURN, 0, 0, _REFUSE)


def _if(number: int, argument: int, conditions: list[Instruction]) -> list[Instruction]:
    """Allow this call when the conditions hold for an argument: each goes on to the next, or two past the last."""
    body = [
        (_LOAD, 0, 0, _ARGUMENTS + 8 * argument),
        *conditions,
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    return [(_EQUAL, 0, len(body), number), *body]


def _high(argument: int) -> int:
    return _ARGUMENTS + 8 * argument + 4
