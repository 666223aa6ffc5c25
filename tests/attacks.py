# mypy: disable-error-code="func-returns-value"
"""A parser that a hostile file has taken over: what it tries from inside. Loaded by `parsing.program` alone."""

from __future__ import annotations

import codecs
import ctypes
import mmap
import os
import resource
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

codecs.lookup("idna")  # what Python would load later, by a path
_LIBC = ctypes.CDLL(None, use_errno=True)
_ATTACH = 16


def parse(descriptors: list[int], question: dict[str, Any]) -> dict[str, str]:
    """What became of each attempt: `refused`, or what it achieved."""
    if "signal" in question:
        signal.raise_signal(question["signal"])
    if question.get("spin"):
        return _spin()
    attempts = _on_files(question["key"], descriptors[0]) | _on_others(question) | _on_itself()
    return {name: _tried(attempt) for name, attempt in attempts.items()}


def _tried(attempt: Callable[[], Any]) -> str:
    try:
        return f"done: {attempt()!r}"[:80]
    except (OSError, MemoryError, ValueError):
        return "refused"


def _on_files(key: str, given: int) -> dict[str, Callable[[], Any]]:
    return {
        "read the key": lambda: open(key).read(),
        "list /": lambda: os.listdir("/"),
        "look at the key": lambda: os.stat(key),
        "reach the key": lambda: os.access(key, os.R_OK) or _raise(),
        "write to /tmp": lambda: open("/tmp/dropslot-attack", "w"),
        "cut the key": lambda: os.truncate(key, 0),
        "open the key to all": lambda: os.chmod(key, 0o666),
        "give the key away": lambda: os.chown(key, 12345, -1),
        "touch the key": lambda: os.utime(key),
        "remove the key": lambda: os.unlink(key),
        "rename the key": lambda: os.rename(key, key + "x"),
        "link the key": lambda: os.link(key, key + "x"),
        "make a folder": lambda: os.mkdir("/tmp/dropslot-attack"),
        "enter another folder": lambda: os.chdir("/tmp"),
        "write what was given": lambda: os.write(given, b"x"),
        "cut what was given": lambda: os.ftruncate(given, 0),
        "give away what was given": lambda: os.fchown(given, 12345, -1),
        "open what was given to all": lambda: os.fchmod(given, 0o777),
        "open what was given again": lambda: os.open(f"/proc/self/fd/{given}", os.O_RDWR),
        "map what was given for writing": lambda: mmap.mmap(given, 1, mmap.MAP_SHARED, mmap.PROT_WRITE),
        "list what it has open": lambda: os.listdir("/proc/self/fd"),
        "make a file in memory": lambda: os.memfd_create("x"),
    }


def _on_others(question: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    parent = question["parent"]
    return {
        "connect by TCP": lambda: socket.create_connection(("127.0.0.1", question["tcp"]), 1),
        "listen by TCP": lambda: socket.create_server(("127.0.0.1", 0)),
        "send by UDP": lambda: _socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9)),
        "connect to a socket": lambda: _socket(socket.AF_UNIX).connect(question["unix"]),
        "connect to an abstract socket": lambda: _socket(socket.AF_UNIX).connect(question["abstract"]),
        "ask the kernel": lambda: _socket(socket.AF_NETLINK, socket.SOCK_RAW),
        "signal the parent": lambda: os.kill(parent, 0),
        "signal all": lambda: os.kill(-1, 0),
        "trace the parent": lambda: _call(_LIBC.ptrace, _ATTACH, parent, 0, 0),
        "read the parent's environment": lambda: open(f"/proc/{parent}/environ", "rb").read(),
        "read the parent's memory": lambda: open(f"/proc/{parent}/mem", "rb"),
        "write the parent's memory": lambda: open(f"/proc/{parent}/mem", "r+b"),
        "read the parent's memory at once": lambda: _call(_LIBC.process_vm_readv, parent, 0, 0, 0, 0, 0),
        "see the parent's limits": lambda: resource.prlimit(parent, resource.RLIMIT_CPU),
        "open the parent": lambda: os.pidfd_open(parent),
        "shared memory": lambda: _call(_LIBC.shmget, 0, 4096, 0o1666),
    }


def _on_itself() -> dict[str, Callable[[], Any]]:
    return {
        "fork": _fork,
        "execute": lambda: os.posix_spawn("/bin/true", ["true"], {}),
        "become root": lambda: os.setuid(0) or os.setresuid(0, 0, 0) or _raise_unless_root(),
        "become another": lambda: os.setresuid(12345, 12345, 12345),
        "get capabilities back": lambda: _call(_LIBC.capset, b"\x22\x05\x08\x20" + bytes(4), b"\xff" * 24),
        "another namespace": lambda: _call(_LIBC.unshare, 0x10000000),
        "widen its limits": lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40)),
        "two gigabytes": lambda: len(bytearray(2 << 30)),
        "executable memory": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC),
        "a secret in its environment": lambda: os.environ.get("DROPSLOT_DATABASE_PASSWORD") or _raise(),
    }


def _spin() -> dict[str, str]:
    """For ever, with its own clock switched off."""
    signal.signal(signal.SIGPROF, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_PROF, 0)
    while True:
        time.monotonic()


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def _socket(family: int, kind: int = socket.SOCK_STREAM) -> socket.socket:
    return socket.socket(family, kind)


def _call(function: Any, *arguments: Any) -> int:
    answer = int(function(*arguments))
    if answer < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return answer


def _raise() -> None:
    raise PermissionError


def _raise_unless_root() -> None:
    if os.geteuid() != 0:
        raise PermissionError
