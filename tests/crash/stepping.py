"""A tracer that stops a tree of processes before any one of the system calls by which it changes something.

A seccomp filter, inherited by every thread and forked child, lets the kernel run all other calls at full speed and
stops these *before* they have any effect (ptrace(2), PTRACE_O_TRACESECCOMP); PTRACE_SYSCALL would stop twice at each
of thousands of calls. Unlike strace's counters, which are per process, one tracer sees the whole tree. What a call is
comes from PTRACE_GET_SYSCALL_INFO, so only the tables of numbers depend on the machine.

Counted is every call that changes files or sends to a database. A `write` counts when it goes to a file or a socket,
not into a pipe, a terminal or /dev/null. How many packets go to a server over SSH is up to chance, so there sockets do
not count, and requests name themselves (`marking`). Not seen, since they are no calls: stores into shared memory.
SQLite makes those into its -shm file, which it builds anew from the log after a crash.

The threads of a tree run side by side, so a point is (thread in order of birth, its k-th step): that is the same in
every run, whatever the scheduler does.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import stat
import struct
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

_X86_64 = {
    "open": 2, "creat": 85, "openat": 257, "openat2": 437, "write": 1, "pwrite64": 18, "writev": 20,
    "pwritev": 296, "pwritev2": 328, "sendto": 44, "sendmsg": 46, "sendmmsg": 307, "sendfile": 40,
    "splice": 275, "copy_file_range": 326, "rename": 82, "renameat": 264, "renameat2": 316, "link": 86,
    "linkat": 265, "symlink": 88, "symlinkat": 266, "unlink": 87, "unlinkat": 263, "mkdir": 83, "mkdirat": 258,
    "rmdir": 84, "mknod": 133, "mknodat": 259, "truncate": 76, "ftruncate": 77, "fallocate": 285, "fsync": 74,
    "fdatasync": 75, "sync": 162, "syncfs": 306, "sync_file_range": 277, "msync": 26, "chmod": 90, "fchmod": 91,
    "fchmodat": 268, "fchmodat2": 452, "chown": 92, "fchown": 93, "lchown": 94, "fchownat": 260, "utime": 132,
    "utimes": 235, "futimesat": 261, "utimensat": 280, "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190,
    "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199, "io_submit": 209, "io_uring_enter": 426,
}  # fmt: skip
_AARCH64 = {
    "openat": 56, "openat2": 437, "write": 64, "pwrite64": 68, "writev": 66, "pwritev": 70, "pwritev2": 287,
    "sendto": 206, "sendmsg": 211, "sendmmsg": 269, "sendfile": 71, "splice": 76, "copy_file_range": 285,
    "renameat": 38, "renameat2": 276, "linkat": 37, "symlinkat": 36, "unlinkat": 35, "mkdirat": 34,
    "mknodat": 33, "truncate": 45, "ftruncate": 46, "fallocate": 47, "fsync": 82, "fdatasync": 83, "sync": 81,
    "syncfs": 267, "sync_file_range": 84, "msync": 227, "fchmod": 52, "fchmodat": 53, "fchmodat2": 452,
    "fchown": 55, "fchownat": 54, "utimensat": 88, "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7,
    "removexattr": 14, "lremovexattr": 15, "fremovexattr": 16, "io_submit": 2, "io_uring_enter": 426,
}  # fmt: skip
NUMBERS = {"x86_64": _X86_64, "aarch64": _AARCH64}[platform.machine()]
_NAMES = {number: name for name, number in NUMBERS.items()}
_DATA = frozenset(
    {"write", "pwrite64", "writev", "pwritev", "pwritev2", "sendto", "sendmsg", "sendmmsg", "sendfile"}
)
_ON_DESCRIPTOR = _DATA | {
    "fsync", "fdatasync", "syncfs", "sync_file_range", "ftruncate", "fallocate", "fchmod", "fchown", "fsetxattr"
}  # fmt: skip
_CHANGES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

_CONT, _GETEVENTMSG, _SEIZE, _INTERRUPT, _GET_SYSCALL_INFO = 7, 0x4201, 0x4206, 0x4207, 0x420E
_EVENT_FORK, _EVENT_VFORK, _EVENT_CLONE, EVENT_SECCOMP = 1, 2, 3, 7
_BIRTHS = (_EVENT_FORK, _EVENT_VFORK, _EVENT_CLONE)
_OPTIONS = 1 | 2 | 4 | 8 | 0x80 | 0x100000  # TRACESYSGOOD, FORK, VFORK, CLONE, SECCOMP, EXITKILL
_WALL = 0x40000000
_INFO_SECCOMP = 3
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 22, 38

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


class Point(NamedTuple):
    """The `count`-th step (from 1) of the `task`-th thread or process (from 0, in order of birth)."""

    task: int
    count: int  # type: ignore[assignment]  # hides the count() of tuples


class Step(NamedTuple):
    """One counted call; `about` is the file it is about, for people."""

    point: Point
    call: str
    about: str

    def __str__(self) -> str:
        return f"task {self.point.task} step {self.point.count}: {self.call} {self.about}"


@dataclass
class Tree:
    """A process with all its threads and descendants. One thread must make all calls on it."""

    pid: int
    sockets: bool = True  # whether what is sent to one counts
    steps: list[Step] = field(default_factory=list)
    status: int | None = None  # wait status of the first process, when it has ended
    _tasks: set[int] = field(default_factory=set)  # thread ids of those that live
    _numbers: dict[int, int] = field(default_factory=dict)  # thread id: number in order of birth
    _counts: Counter[int] = field(default_factory=Counter)
    _parked: set[int] = field(default_factory=set)

    @classmethod
    def start(cls, body: Callable[[], object], *, sockets: bool = True) -> Tree:
        """Fork a child that calls `body` and ends with status 0; it waits until `go`."""
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            _live(body, reader, writer)
        os.close(reader)
        _ptrace(_SEIZE, pid, _OPTIONS)
        os.write(writer, b"x")
        os.close(writer)
        return cls(pid, sockets, _tasks={pid}, _numbers={pid: 0})

    def go(self, until: Point | int | str | None = None) -> bool:
        """Run until just before the step at `until` (an int counts over all tasks, a text is what the step is about);
        False: all ended before."""
        for task in self._parked:
            _go_on(task)
        self._parked.clear()
        while self._tasks:
            task, status = os.waitpid(-1, _WALL)
            if self._ended(task, status):
                continue
            if self._stopped(task, status, until):
                self._parked.add(task)
                return True
        return False

    def freeze(self) -> None:
        """After `go` has stopped one task: stop all others, too. `go` lets them run on."""
        for task in self._tasks - self._parked:
            with suppress(ProcessLookupError):
                _ptrace(_INTERRUPT, task, 0)
        while self._tasks - self._parked:
            task, status = os.waitpid(-1, _WALL)
            if not self._ended(task, status):
                self._seen(task, status)
                self._parked.add(task)

    def kill(self) -> None:
        """End every process of the tree at once, as a power switch does; none is left on return."""
        for pid in {_process_of(task) for task in self._tasks}:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._parked.clear()
        while self._tasks:
            task, status = os.waitpid(-1, _WALL)
            self._ended(task, status)

    def _ended(self, task: int, status: int) -> bool:
        if os.WIFSTOPPED(status):
            return False
        self._tasks.discard(task)
        self._parked.discard(task)
        if task == self.pid:
            self.status = status
        return True

    def _stopped(self, task: int, status: int, until: Point | int | str | None) -> bool:
        """Whether this stop is the one that is waited for; else the task goes on."""
        step = self._seen(task, status)
        if step and until is not None and until in (step.point, len(self.steps), step.about):
            return True
        is_signal = not status >> 16 and os.WSTOPSIG(status) != signal.SIGTRAP
        _go_on(task, os.WSTOPSIG(status) if is_signal else 0)
        return False

    def _seen(self, task: int, status: int) -> Step | None:
        event = status >> 16
        self._know(task)
        with suppress(ProcessLookupError):  # its process ended while it stood: its own end is still to come
            if event in _BIRTHS:
                child = ctypes.c_ulong()
                _ptrace(_GETEVENTMSG, task, ctypes.addressof(child))
                self._know(child.value)  # its own first stop may come before or after this one
            return self._step(task) if event == EVENT_SECCOMP else None
        return None

    def _know(self, task: int) -> None:
        if task not in self._numbers:
            self._numbers[task] = len(self._numbers)
            self._tasks.add(task)

    def _step(self, task: int) -> Step | None:
        call, args = _call_of(task)
        if not _is_change(task, call, args, sockets=self.sockets):
            return None
        number = self._numbers[task]
        self._counts[number] += 1
        step = Step(Point(number, self._counts[number]), call, _about(task, call, args))
        self.steps.append(step)
        return step


def _live(body: Callable[[], object], reader: int, writer: int) -> None:
    status = 1
    try:
        os.close(writer)
        os.read(reader, 1)  # until it is traced
        os.close(reader)
        _filter_calls()
        body()
        status = 0
    except BaseException:  # noqa: BLE001 - a forked child must not run on in the code of its parent
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)


def _filter_calls() -> None:
    """Have the kernel stop this process and all its descendants at the calls of the table."""
    program = _program()
    buffer = ctypes.create_string_buffer(program)
    header = struct.pack("=HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
    for option, value, argument in (
        (_PR_SET_NO_NEW_PRIVS, 1, None),
        (_PR_SET_SECCOMP, 2, ctypes.create_string_buffer(header)),
    ):
        if _libc.prctl(option, ctypes.c_ulong(value), argument, 0, 0):
            raise OSError(ctypes.get_errno(), f"prctl {option}")


def _program() -> bytes:
    """BPF: an `openat` counts when its flags change something, the other calls always do."""
    load, jump_equal, jump_set, give = 0x20, 0x15, 0x45, 0x06
    low_half_of_flags = 16 + 2 * 8
    others = [number for name, number in NUMBERS.items() if name != "openat"]
    end = 4 + len(others)  # index of ALLOW; TRACE follows
    lines = [
        (load, 0, 0, 0),
        (jump_equal, 0, 2, NUMBERS["openat"]),
        (load, 0, 0, low_half_of_flags),
        (jump_set, end + 1 - 4, end - 4, _CHANGES),
    ]
    lines += [(jump_equal, end + 1 - (at + 1), 0, number) for at, number in enumerate(others, 4)]
    lines += [(give, 0, 0, 0x7FFF0000), (give, 0, 0, 0x7FF00000)]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def _ptrace(request: int, task: int, data: int, address: int = 0) -> int:
    ctypes.set_errno(0)
    result = int(_libc.ptrace(request, task, address, data))
    if result == -1 and (number := ctypes.get_errno()):
        raise OSError(number, f"ptrace {request:#x}: {os.strerror(number)}")
    return result


def _go_on(task: int, signal_number: int = 0) -> None:
    with suppress(ProcessLookupError):  # it was killed while it stood: its end is still to come
        _ptrace(_CONT, task, signal_number)


def _call_of(task: int) -> tuple[str, tuple[int, ...]]:
    buffer = ctypes.create_string_buffer(128)
    _ptrace(_GET_SYSCALL_INFO, task, ctypes.addressof(buffer), len(buffer))
    if buffer.raw[0] != _INFO_SECCOMP:
        raise RuntimeError(f"an unexpected stop of task {task}: {buffer.raw[0]}")
    number, *args = struct.unpack_from("=7Q", buffer.raw, 24)
    return _NAMES[number], tuple(args)


def _is_change(task: int, call: str, args: tuple[int, ...], *, sockets: bool) -> bool:
    if call == "open":
        return bool(args[1] & _CHANGES)
    if call not in _DATA:
        return True
    try:
        mode = os.stat(f"/proc/{task}/fd/{_int(args[0])}").st_mode
    except OSError:
        return True  # rather one too many
    return stat.S_ISREG(mode) or stat.S_ISBLK(mode) or (sockets and stat.S_ISSOCK(mode))


def _about(task: int, call: str, args: tuple[int, ...]) -> str:
    if call in _ON_DESCRIPTOR:
        with suppress(OSError):
            return os.readlink(f"/proc/{task}/fd/{_int(args[0])}")
        return ""
    if call in ("sync", "io_submit", "io_uring_enter", "msync", "copy_file_range", "splice"):
        return ""
    places: tuple[int, ...] = (
        (1, 3)
        if call in ("renameat", "renameat2", "linkat")
        else (0, 1)
        if call in ("rename", "link")
        else ()
    )
    if not places:
        places = (1,) if call.endswith("at") or call in ("openat2", "fchmodat2") else (0,)
    return " -> ".join(_text(task, args[place]) for place in places)


def _int(value: int) -> int:
    return ctypes.c_int(value & 0xFFFFFFFF).value


def _text(task: int, address: int) -> str:
    if not address:
        return "(the descriptor)"
    data = b""
    with suppress(OSError, ValueError), open(f"/proc/{task}/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        while b"\0" not in data and (part := memory.read(min(256, 4096 - (address + len(data)) % 4096))):
            data += part
    return os.fsdecode(data.partition(b"\0")[0])


def _process_of(task: int) -> int:
    with suppress(OSError), open(f"/proc/{task}/status", encoding="ascii", errors="replace") as stream:
        return next(int(line.split()[1]) for line in stream if line.startswith("Tgid:"))
    return task
