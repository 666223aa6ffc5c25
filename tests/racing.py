"""Senders that do not keep still: they change what they have sent, again and again, through what they hold open."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_EXCHANGE = 2  # RENAME_EXCHANGE
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def again_and_again(change: Callable[[int], None]) -> Iterator[None]:
    """Call `change(times)` without a pause until the block ends; what it raises fails the test."""
    stop, failed = threading.Event(), []

    def run() -> None:
        times = 0
        try:
            while not stop.is_set():
                change(times)
                times += 1
        except BaseException as error:  # noqa: BLE001 - raised again by the test's own thread
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if failed:
        raise failed[0]


def exchange(folder: int, one: str, other: str) -> None:
    """Swap two names at once: at no moment is either of them missing."""
    if _libc.renameat2(folder, os.fsencode(one), folder, os.fsencode(other), _EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), one)


def growing(path: Path) -> Callable[[int], None]:
    """The sender's upload goes on through the descriptor that it has open."""
    out = os.open(path, os.O_WRONLY | os.O_APPEND)
    return lambda times: _once(os.write, out, b"more")


def shrinking(path: Path) -> Callable[[int], None]:
    """It is cut off a little at the end, each time anew."""
    out, size = os.open(path, os.O_WRONLY), path.stat().st_size
    return lambda times: os.ftruncate(out, size - 1 - times % 1000)


def rewriting(path: Path) -> Callable[[int], None]:
    """Its bytes change, its size does not, and its mtime is set back."""
    out, seen = os.open(path, os.O_WRONLY), path.stat()

    def change(times: int) -> None:
        os.pwrite(out, bytes([times % 256]), times % seen.st_size)
        os.utime(out, ns=(seen.st_atime_ns, seen.st_mtime_ns))

    return change


def replacing(path: Path) -> Callable[[int], None]:
    """Another file takes its name."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)

    def change(times: int) -> None:
        new = os.open(".new", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644, dir_fd=folder)
        os.write(new, b"another one %d" % times)
        os.close(new)
        with contextlib.suppress(FileNotFoundError):
            os.rename(".new", path.name, src_dir_fd=folder, dst_dir_fd=folder)

    return change


def swapping(folder: Path, name: str, link: str) -> Callable[[int], None]:
    """A folder and a link take turns under one name."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    return lambda times: exchange(descriptor, name, link)


def _once(write: Callable[[int, bytes], int], out: int, data: bytes) -> None:
    if os.fstat(out).st_size < 64 << 20:
        write(out, data)
    else:
        os.ftruncate(out, 1 << 20)
