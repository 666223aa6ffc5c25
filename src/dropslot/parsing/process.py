"""The processes that parse for this one: started when they are first needed, replaced when they end or take too long.

There is one for each kind of file, so that a file that takes control of one learns nothing about the others. Each
worker has its own. They end by `close`, or when this process ends in any way (they then read the end of their socket,
or their own limit of processor time ends them). A fork never shares them.
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
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from dropslot.core.names import escape
from dropslot.parsing.program import MOST_BYTES

MEMORY_BYTES = 1 << 30
PDF, CONTENT_TYPES = "dropslot.parsing.pdf", "dropslot.parsing.content_types"
PDF_PAGES = "dropslot.parsing.pdf_pages"
# On a busy machine the wall time may be this many times the processor time, and never less than this.
WALL_FACTOR = 6
LEAST_WALL_SECONDS = 60.0
_START_SECONDS = 60.0
# The other process must find dropslot in the same place; last, so that nothing there hides Python's own modules.
_START = "import sys; sys.path.append(sys.argv.pop()); from dropslot.parsing.program import main; main()"
_PROGRAM = (sys.executable, "-P", "-c", _START)
_LEAVE_SECONDS = 5.0
# The memory of libraries grows a little with each file.
_QUESTIONS_A_PROCESS = 2000
# What the interpreter needs to find its modules; no secret of the service goes to the process that reads hostile
# files.
# Libraries of numbers start threads when they load: a thread that was there before would keep its rights.
_ALONE = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_PASSED_ON = ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "PYTHONDONTWRITEBYTECODE")
# Not SIGBUS: an unreadable page of a mapped file causes it.
_CRASHES = frozenset(
    {signal.SIGSEGV, signal.SIGABRT, signal.SIGTRAP, signal.SIGILL, signal.SIGFPE, signal.SIGSYS}
)


class BreaksParser(Exception):
    """The file crashes its parser each time: a statement about the file. The words follow `it breaks …`."""


class TakesTooLong(BreaksParser):
    """The file needs more processor time than it may have."""


class NotParsed(Exception):
    """There is no answer, and that says nothing about the file: the process was killed, or the machine is
    overloaded."""


class Parser:
    """One process at a time, started by the first question. Threads take turns."""

    def __init__(self, module: str, memory_bytes: int = MEMORY_BYTES) -> None:
        self.module = module
        self.missing: list[str] = []  # the layers of its confinement that this system lacks
        self._memory_bytes = memory_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._asked = 0
        self._left: list[subprocess.Popen[bytes]] = []  # killed, and not gone yet
        self._turn = threading.Lock()

    @property
    def pid(self) -> int | None:
        """The process, if there is one."""
        return self._process.pid if self._process else None

    def start(self) -> list[str]:
        """Start the process unless it runs; the layers of its confinement that are missing. Raises NotParsed."""
        with self._turn:
            try:
                self._ready()
            except BaseException:
                self._end()  # its first message must not be read as an answer later
                raise
            return self.missing

    def ask(self, descriptors: Sequence[int], question: Any, seconds: float) -> Any:
        """The result of the module's `parse` for the files behind these descriptors, which it may only read.
        `seconds`: processor time for all of them. Raises BreaksParser (TakesTooLong) and NotParsed; either way the
        next question is answered by a new process.
        """
        with self._turn:
            try:
                return self._asked_once(descriptors, question, seconds)
            except TakesTooLong:
                raise
            except BreaksParser:
                # Twice: an earlier file may have left the process in a bad state.
                return self._asked_once(descriptors, question, seconds)

    def ask_each(self, batches: Iterable[Sequence[int]], question: Any, seconds: float) -> list[Any]:
        """As `ask` for each batch, at least one: the next batch is opened and sent while one is examined. A batch's
        descriptors may be closed when the next one is requested. If one crashes the parser, it raises at once, for
        all."""
        with self._turn:
            return self._asked_each(batches, question, seconds)

    def close(self) -> None:
        """End the process, and wait until it is gone, unless the kernel itself holds it."""
        with self._turn:
            self._end()

    def forget(self) -> None:
        """In a forked process: the parent's process is not ours to use or to end."""
        self._turn = threading.Lock()
        if self._channel is not None:
            self._channel.close()
        for process in (self._process, *self._left):
            if process is not None:
                process.returncode = 0  # so that no process waits for another's child
        self._channel = self._process = None
        self._left = []

    def _asked_once(self, descriptors: Sequence[int], question: Any, seconds: float) -> Any:
        return self._asked_each([descriptors], question, seconds)[0]

    def _asked_each(self, batches: Iterable[Sequence[int]], question: Any, seconds: float) -> list[Any]:
        answers: list[Any] = []
        message = json.dumps({"question": question, "seconds": seconds}).encode("ascii")
        try:
            channel, before = self._ready(), self._computed_seconds()
            for asked, descriptors in enumerate(batches):
                self._asked += 1
                with suppress(BrokenPipeError, ConnectionResetError):
                    socket.send_fds(channel, [message], descriptors)
                if asked:
                    answers.append(_answer_in(self._received(channel, before, seconds)))
            answers.append(_answer_in(self._received(channel, before, seconds)))
        except BaseException:
            self._end()
            raise
        return answers

    def _received(self, channel: socket.socket, before: float, seconds: float) -> bytes:
        said = self._heard(channel, max(seconds * WALL_FACTOR, LEAST_WALL_SECONDS))
        if said is None:
            raise self._did_not_answer(self._computed_seconds() - before, seconds)
        if not said:
            raise self._ended()
        return said

    def _did_not_answer(self, computed: float, seconds: float) -> Exception:
        # A process that a file controls can switch its own clock off.
        return TakesTooLong() if computed > seconds else NotParsed("did not answer in time")

    def _ended(self) -> Exception:
        number = self._gone()
        if number == signal.SIGPROF:
            return TakesTooLong()
        if number in _CRASHES:
            return BreaksParser(f"({signal.Signals(number).name})")
        return NotParsed(f"was ended by signal {number}" if number else "ended by itself")

    def _ready(self) -> socket.socket:
        # Anything that can be read before a question: its end, or answers from a file that controls it.
        if self._asked >= _QUESTIONS_A_PROCESS or (self._channel and _speaks(self._channel, 0)):
            self._end()
        if self._channel is None:
            try:
                self._start()
            except OSError as error:
                raise NotParsed(f"cannot be started: {error.strerror}") from error
        assert self._channel is not None
        return self._channel

    def _start(self) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [
                        *_PROGRAM,
                        str(theirs.fileno()),
                        str(self._memory_bytes),
                        self.module,
                        _beside_dropslot(),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    env=_ALONE | {name: os.environ[name] for name in _PASSED_ON if name in os.environ},
                    cwd="/",
                    start_new_session=True,  # Ctrl-C is for the processes that know the state of their work
                )
            except BaseException:
                self._end()
                raise
        self._asked = 0
        said = json.loads(self._heard(self._channel, _START_SECONDS) or b'{"failed": "it did not start"}')
        if "failed" in said:
            self._end()
            raise NotParsed(f"cannot work here: {said['failed']}")
        self.missing = said["missing"]

    def _heard(self, channel: socket.socket, seconds: float) -> bytes | None:
        """Its message; empty if it ended, None if there was none in time."""
        if not _speaks(channel, seconds):
            return None
        try:
            return channel.recv(MOST_BYTES)
        except ConnectionResetError:
            return b""

    def _computed_seconds(self) -> float:
        assert self._process is not None
        try:
            # The clock of another process's processor time, with the number from clock_getcpuclockid(3).
            return time.clock_gettime((~self._process.pid << 3) | 2)
        except OSError:  # gone
            return 0.0

    def _gone(self) -> int:
        """The signal that ended the process."""
        process = self._process
        assert process is not None
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LEAVE_SECONDS)
        return max(-(process.returncode or 0), 0)

    def _end(self) -> None:
        channel, process = self._channel, self._process
        self._channel = self._process = None
        if channel is not None:
            channel.close()
        if process is not None:
            process.kill()
            self._left.append(process)
        self._left = [one for one in self._left if not _is_gone(one)]


def _speaks(channel: socket.socket, seconds: float) -> bool:
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _answer_in(said: bytes) -> Any:
    try:
        told = json.loads(said)
        if isinstance(told, dict) and "answer" in told:
            return told["answer"]
        if "unread" in told:
            raise NotParsed(f"could not read it: {escape(str(told['unread']))}")
        why = str(told["failed"])
    except (ValueError, TypeError, KeyError, RecursionError):
        why = "its answer makes no sense"
    raise BreaksParser(f"({escape(why)})")


def _beside_dropslot() -> str:
    return str(Path(__file__).parents[2])


def _is_gone(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_LEAVE_SECONDS)
    except subprocess.TimeoutExpired:  # during a read that the disk does not answer
        return False
    return True


# Not in the process's context: a child process that is only forgotten would go on. `close` ends them.
_parsers: dict[tuple[str, int], Parser] = {}
_making = threading.Lock()


def parser(module: str, number: int = 0, memory_bytes: int = MEMORY_BYTES) -> Parser:
    """This process's parser with that module. Different numbers are different processes, for work at the same time."""
    with _making:
        return _parsers.setdefault((module, number), Parser(module, memory_bytes))


def close() -> None:
    """End this process's parsers; the next question starts another."""
    for each in list(_parsers.values()):
        each.close()


def _after_fork() -> None:
    global _making
    _making = threading.Lock()
    for each in _parsers.values():
        each.forget()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(close)
