"""The process that reads PDFs for this one: started when it is first needed, replaced when it ends or takes too long.

Each worker has one of its own. It is closed by `close`, by the end of this process however that comes (it then reads
the end of its socket, or is ended by its own limit of computing time), and never shared over a fork.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

MEMORY_BYTES = 1 << 30
# A busy machine: so much longer than the computing itself may take, and never less than that.
WALL_FACTOR = 6
LEAST_WALL_SECONDS = 60.0
_PROGRAM = Path(__file__).with_name("pdf_reader.py")
_MOST_BYTES = 64 * 1024
_LEAVE_SECONDS = 5.0
# PDFium's memory grows a little with each file.
_FILES_A_PROCESS = 2000
# What the interpreter needs to find its modules; no secret of the service's goes to where hostile files are read.
_PASSED_ON = ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "PYTHONDONTWRITEBYTECODE")


class Ended(Exception):
    """The process ended before it answered: by this signal (0: by itself)."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by signal {number}" if number else "ended by itself")
        self.signal = number


class TookTooLong(Exception):
    """There was no answer in time, and not for want of computing: the machine or a disk is held up."""


class Reader:
    """One process at a time, made when it is asked. Used by one thread at a time."""

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        self._memory_bytes = memory_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._asked = 0
        self._left: list[subprocess.Popen[bytes]] = []  # killed, and not gone yet

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._process.pid if self._process else None

    def ask(self, descriptor: int, wanted: Sequence[str], seconds: float) -> dict[str, Any]:
        """The answer about the PDF behind the descriptor (`pdf_reader.answer`). Raises Ended and TookTooLong; either
        way the next question is answered by a new process."""
        try:
            channel = self._ready()
            question = json.dumps({"wanted": list(wanted), "seconds": seconds}).encode("ascii")
            with suppress(BrokenPipeError, ConnectionResetError):
                socket.send_fds(channel, [question], [descriptor])
            said = self._heard(channel, max(seconds * WALL_FACTOR, LEAST_WALL_SECONDS))
        except BaseException:
            self.close()
            raise
        if not said:
            raise Ended(self._gone())
        found: dict[str, Any] = json.loads(said)
        return found

    def close(self) -> None:
        """End the process, and wait until it is gone: unless the system itself holds it."""
        channel, process = self._channel, self._process
        self._channel = self._process = None
        if channel is not None:
            channel.close()
        if process is not None:
            process.kill()
            self._left.append(process)
        self._left = [one for one in self._left if not _is_gone(one)]

    def forget(self) -> None:
        """In a forked process: the other one's is not ours to use or to end."""
        if self._channel is not None:
            self._channel.close()
        for process in (self._process, *self._left):
            if process is not None:
                process.returncode = 0  # so that nobody waits for another's child
        self._channel = self._process = None
        self._left = []

    def _ready(self) -> socket.socket:
        if self._asked >= _FILES_A_PROCESS or (self._process and self._process.poll() is not None):
            self.close()
        if self._channel is None:
            self._start()
        self._asked += 1
        assert self._channel is not None
        return self._channel

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", str(_PROGRAM), str(theirs.fileno()), str(self._memory_bytes)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
                    cwd="/",
                    start_new_session=True,  # Ctrl-C is for those who know what they have in hand
                )
            except BaseException:
                ours.close()
                raise
        self._channel, self._asked = ours, 0

    def _heard(self, channel: socket.socket, seconds: float) -> bytes:
        poll = select.poll()
        poll.register(channel, select.POLLIN)
        if not poll.poll(seconds * 1000):
            raise TookTooLong
        try:
            return channel.recv(_MOST_BYTES)
        except ConnectionResetError:
            return b""

    def _gone(self) -> int:
        """The signal that ended the process."""
        process = self._process
        assert process is not None
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LEAVE_SECONDS)
        self.close()
        return max(-(process.returncode or 0), 0)


def _is_gone(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_LEAVE_SECONDS)
    except subprocess.TimeoutExpired:  # in the midst of a read that the disk does not answer
        return False
    return True


_shared = Reader()
_turn = threading.Lock()


def ask(descriptor: int, wanted: Sequence[str], seconds: float) -> dict[str, Any]:
    """Ask this process's own reader; see `Reader.ask`."""
    with _turn:
        return _shared.ask(descriptor, wanted, seconds)


def close() -> None:
    """End this process's reader, if it has one; the next question starts another."""
    with _turn:
        _shared.close()


def _after_fork() -> None:
    global _turn
    _turn = threading.Lock()
    _shared.forget()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(close)

CRASHES = frozenset(
    {signal.SIGSEGV, signal.SIGABRT, signal.SIGTRAP, signal.SIGILL, signal.SIGFPE, signal.SIGSYS}
)
OUT_OF_TIME = signal.SIGPROF
