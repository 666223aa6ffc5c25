"""Files that another program has open, or that are not quiet yet."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from dropslot.sender.local_paths import shown_path
from dropslot.sender.new_files.interruptible_wait import wait
from dropslot.sender.plan import LeftFile, NewFile, Watcher

SETTLE_SECONDS = 2.0
_LATER = "It is left for next time"
_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR


def in_use(files: Sequence[NewFile]) -> Iterator[LeftFile]:
    """Files that cannot be read, or that another program is writing, as far as the system says so."""
    writing = _written() if files else frozenset()
    names = {os.path.basename(path) for path in writing}
    for file in files:
        if os.path.basename(file.source) in names and os.path.realpath(file.source) in writing:
            yield _left(file, "open", f"another program has it open for writing. {_LATER}")
        elif fault := _fault_of_opening(file.source):
            yield _left(file, *fault)


def unquiet(files: Sequence[NewFile], settle_seconds: float, watcher: Watcher) -> Iterator[LeftFile]:
    """Files that were changed a moment ago, and change again while they are watched for `settle_seconds`. Their times
    may come from another clock: what changed in the future counts as quiet, and is compared again when it is sent."""
    ages = {file: time.time() - file.mtime_ns / 1e9 for file in files}
    recent = [file for file, age in ages.items() if 0 <= age < settle_seconds]
    if recent:
        wait(settle_seconds - min(ages[file] for file in recent), watcher)
    for file in recent:
        if _now(file.source) != (file.size_bytes, file.mtime_ns):
            yield _left(file, "growing", f"it is still being written. {_LATER}")


def _now(source: str) -> tuple[int, int] | None:
    try:
        found = os.stat(source)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _left(file: NewFile, kind: str, why: str) -> LeftFile:
    return LeftFile(file.source, file.path, kind, f"{shown_path(file.source)}: {why}")


def _fault_of_opening(source: str) -> tuple[str, str] | None:
    if sys.platform == "win32":
        return _fault_of_sharing(source)
    if os.access(source, os.R_OK):
        return None
    gone = not os.path.lexists(source)
    return (
        ("changed", "it is gone") if gone else ("unreadable", "this account may not read it. Ask its owner")
    )


def _fault_of_sharing(source: str) -> tuple[str, str] | None:
    """Opened so that others may only read: Windows refuses that while somebody has it open for writing."""
    if sys.platform != "win32":
        return None
    import ctypes
    from ctypes import wintypes

    generic_read, share_read, open_existing, violation = 0x80000000, 1, 3, 32
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.CreateFileW.restype = wintypes.HANDLE
    handle = kernel.CreateFileW(source, generic_read, share_read, None, open_existing, 0, None)
    if handle != wintypes.HANDLE(-1).value:
        kernel.CloseHandle(wintypes.HANDLE(handle))
        return None
    code = ctypes.get_last_error()
    if code == violation:
        return "open", f"another program has it open for writing. {_LATER}"
    return "unreadable", f"it cannot be opened: {ctypes.FormatError(code)}"


def _written() -> frozenset[str]:
    """The files that this account's programs have open for writing, where the system tells (Linux)."""
    if sys.platform != "linux":
        return frozenset()
    processes = (entry for entry in os.listdir("/proc") if entry.isdigit() and entry != str(os.getpid()))
    return frozenset(path for each in processes for path in _written_by(Path("/proc") / each))


def _written_by(process: Path) -> Iterator[str]:
    try:
        for descriptor in os.listdir(process / "fd"):
            path = os.readlink(process / "fd" / descriptor)
            if (
                path.startswith("/")
                and not path.startswith(("/dev/", "/proc/"))
                and _may_write(process, descriptor)
            ):
                yield path
    except OSError:  # another account's, or it ended
        return


def _may_write(process: Path, descriptor: str) -> bool:
    with (process / "fdinfo" / descriptor).open() as lines:
        flags = next((line.split()[1] for line in lines if line.startswith("flags:")), "0")
    return bool(int(flags, 8) & _WRITE_FLAGS)
