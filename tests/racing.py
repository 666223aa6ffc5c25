"""Senders that do not keep still: they change what they have sent, again and again, wherever it is by now."""

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
def again_and_again(change: Callable[[int], object]) -> Iterator[None]:
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
    """The sender's upload goes on, wherever the file is by now."""
    item = os.open(path, os.O_PATH)

    def change(times: int) -> None:
        with _writing(item, os.O_APPEND) as out:
            if os.fstat(out).st_size < 64 << 20:
                os.write(out, b"more")
            else:
                os.ftruncate(out, 1 << 20)

    return change


def shrinking(path: Path) -> Callable[[int], None]:
    """It is cut off a little at the end, each time anew."""
    item, size = os.open(path, os.O_PATH), path.stat().st_size

    def change(times: int) -> None:
        with _writing(item) as out:
            os.ftruncate(out, size - 1 - times % 1000)

    return change


def rewriting(path: Path) -> Callable[[int], None]:
    """Its bytes change, its size does not, and its mtime is set back."""
    item, seen = os.open(path, os.O_PATH), path.stat()

    def change(times: int) -> None:
        with _writing(item) as out:
            os.pwrite(out, bytes([times % 256]), times % seen.st_size)
            os.utime(out, ns=(seen.st_atime_ns, seen.st_mtime_ns))

    return change


@contextmanager
def _writing(item: int, flags: int = 0) -> Iterator[int]:
    """A descriptor to write with, for the time of the block; opening it waits for whoever has a lease."""
    out = os.open(f"/proc/self/fd/{item}", os.O_WRONLY | flags)
    try:
        yield out
    finally:
        os.close(out)


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
