"""Work in a forked child, which dies with its parent and ends with os._exit.

A fork copies locks as they are. So a process forks before it starts threads; a child of one that has threads makes only
system calls and hashes, and so takes no lock that another thread may have held.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import select
import signal
from collections.abc import Callable
from typing import Generic, NoReturn, TypeVar

from dropslot.files import syscalls

T = TypeVar("T")


class ChildDied(Exception):
    """The child ended without a result: it was killed."""


class Child(Generic[T]):
    """A forked process that calls `work` and sends its result or error through a pipe."""

    def __init__(self, pid: int, results: int) -> None:
        self.pid, self.results = pid, results

    @classmethod
    def fork(cls, work: Callable[[], T]) -> Child[T] | None:
        """None if the system cannot make a process."""
        results, send = os.pipe2(os.O_CLOEXEC)
        parent = os.getpid()
        # No handler of the parent may run in the child: it would act on the parent's descriptors.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
            if pid == 0:
                _be_child(work, send, parent)
        except OSError:
            os.close(results)
            return None
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(send)
        return cls(pid, results)

    def __enter__(self) -> Child[T]:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.results)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)  # it has sent everything, or its result is no longer needed
        with contextlib.suppress(ChildProcessError):  # if SIGCHLD is ignored, the kernel has reaped it
            os.waitpid(self.pid, 0)

    def has_failed(self) -> bool:
        """Whether it has failed or died, while work is left: only then is there something to read."""
        poll = select.poll()
        poll.register(self.results, select.POLLIN)
        return bool(poll.poll(0))

    def result(self) -> T:
        """The child's result, when it has ended. Raises its error, or ChildDied."""
        with os.fdopen(os.dup(self.results), "rb") as stream:
            sent = stream.read()
        try:
            done, error = pickle.loads(sent)
        except (EOFError, pickle.UnpicklingError) as cut:
            raise ChildDied("it was killed") from cut
        if error is not None:
            raise error
        result: T = done
        return result


def in_child(work: Callable[[], T]) -> T:
    """The result of `work`, called in a child, so that no thread nor memory of it is left here.

    Raises its error, ChildDied, or OSError if there is no process or memory left.
    """
    child = Child.fork(work)
    if child is None:
        raise ChildDied("no process could be made")
    with child:
        return child.result()


def _be_child(work: Callable[[], T], send: int, parent: int) -> NoReturn:
    code = 1
    try:
        syscalls.die_with_parent(signal.SIGKILL)
        gc.disable()  # a collection writes to the parent's pages, so the kernel would copy them
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # the parent handles it, and the child ends with the parent
        if os.getppid() == parent:
            code = _send(work, send)
    finally:
        os._exit(code)


def _send(work: Callable[[], T], send: int) -> int:
    with os.fdopen(os.dup(send), "wb") as stream:
        try:
            sent: tuple[T | None, Exception | None] = (work(), None)
        except Exception as error:  # noqa: BLE001 - the parent raises it
            sent = (None, error)
        pickle.dump(sent, stream)
    return 0
