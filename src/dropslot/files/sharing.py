"""Many items: the copying is shared between this process and one forked child.

The child only makes system calls and hashes; it takes no lock that another thread of the parent may have held at the
fork, ends with os._exit, and dies with its parent.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import struct
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from dropslot.core import errors
from dropslot.core.errors import DropslotError, Refused, StorageFault
from dropslot.files import syscalls
from dropslot.files.copying import Job, copy_items
from dropslot.files.earlysync import EarlySync
from dropslot.files.listing import Item
from dropslot.files.ring import BIG_BYTES

ITEM_COST_BYTES = 32 * 1024  # opening, making and closing cost about as much as this many bytes
CHUNK_COST_BYTES = 8 * 1024 * 1024
FORK_COST_BYTES = 32 * 1024 * 1024  # less work than this is done before a child would be of use
MAX_CHUNKS = 60_000  # a pipe holds 65,536 bytes, one a chunk
_FRAME = struct.Struct("=II")
_ERROR = 0xFFFFFFFF
_END = 0xFFFFFFFE
_UNLEASED = 0xFFFFFFFD

Chunk = tuple[int, int]


def copy_shared(job: Job, items: Sequence[Item]) -> bytes:
    """As `copying.copy_items`, by two processes when that is faster."""
    chunks = _chunks(items)
    if not _worth_a_child(items, chunks):
        return copy_items(job, items)
    parts = _shared(job, items, chunks)
    return b"".join(parts[number] for number, _ in sorted(enumerate(chunks), key=lambda c: c[1]))


def _cpus() -> int:
    return len(os.sched_getaffinity(0))


def _chunks(items: Sequence[Item]) -> list[Chunk]:
    """Ranges of neighbours of about the same cost; big items first, so that none is left for the end."""
    limit = max(CHUNK_COST_BYTES, sum(i.size_bytes + ITEM_COST_BYTES for i in items) // MAX_CHUNKS * 2)
    chunks, start, cost = [], 0, 0
    for at, item in enumerate(items, 1):
        cost += item.size_bytes + ITEM_COST_BYTES
        if cost >= limit:
            chunks.append((start, at))
            start, cost = at, 0
    if start < len(items):
        chunks.append((start, len(items)))
    return sorted(chunks, key=lambda c: items[c[1] - 1].size_bytes < BIG_BYTES)


def _worth_a_child(items: Sequence[Item], chunks: Sequence[Chunk]) -> bool:
    cost = sum(item.size_bytes for item in items) + ITEM_COST_BYTES * len(items)
    largest = max((item.size_bytes for item in items), default=0)
    # One huge item is faster with a thread for its hash than in one of two processes.
    return len(chunks) > 1 and cost > FORK_COST_BYTES and largest < 0.6 * cost and _cpus() > 1


def _shared(job: Job, items: Sequence[Item], chunks: Sequence[Chunk]) -> dict[int, bytes]:
    """Digests of each chunk. The child is gone on return, whatever happened."""
    tokens = _tokens(len(chunks))
    try:
        child = Child.fork(lambda: _work_in_child(job, items, list(enumerate(chunks))[::-1], tokens))
        if child is None:  # no process or no memory left: alone, then
            return _work(job, items, list(enumerate(chunks)), tokens)
        with child:
            done = _work(job, items, list(enumerate(chunks)), tokens, child)
            done.update(child.received())
        job.unleased += int.from_bytes(done.pop(_UNLEASED))
        return done
    finally:
        os.close(tokens)


def _work_in_child(
    job: Job, items: Sequence[Item], chunks: Sequence[tuple[int, Chunk]], tokens: int
) -> dict[int, bytes]:
    done = _work(job, items, chunks, tokens)
    return done | {_UNLEASED: job.unleased.to_bytes(8)}


def _tokens(count: int) -> int:
    """A pipe with one byte a chunk. Who reads a byte takes a chunk: the parent from the front, the child from the back,
    so that they work in different folders, never on the same chunk, and end at the same time."""
    tokens, give = os.pipe2(os.O_CLOEXEC)
    try:
        os.write(give, b"x" * count)  # fits into the pipe: never blocks
    finally:
        os.close(give)
    return tokens


def _work(
    job: Job,
    items: Sequence[Item],
    chunks: Sequence[tuple[int, Chunk]],
    tokens: int,
    child: Child | None = None,
) -> dict[int, bytes]:
    done: dict[int, bytes] = {}
    with (
        EarlySync.of_file_system(job.stage) if child and job.early_sync else contextlib.nullcontext() as early
    ):
        for number, (start, stop) in chunks:
            if not os.read(tokens, 1):
                break
            done[number] = copy_items(job, items[start:stop], threads=False)
            if early:
                early.staged(sum(i.size_bytes + ITEM_COST_BYTES for i in items[start:stop]))
            if child and child.has_failed():
                break
    return done


class Child:
    """A forked process that calls `work` and sends what it returns, or its error, through a pipe."""

    def __init__(self, pid: int, results: int) -> None:
        self.pid, self.results = pid, results

    @classmethod
    def fork(cls, work: Callable[[], dict[int, bytes]]) -> Child | None:
        """None when the system has no process to give."""
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

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.results)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)  # it has sent everything, or nothing of it is wanted any more
        with contextlib.suppress(ChildProcessError):  # the program ignores SIGCHLD: the kernel has reaped it
            os.waitpid(self.pid, 0)

    def has_failed(self) -> bool:
        """Whether it has something to say before the work is used up: only an error, or that it died."""
        poll = select.poll()
        poll.register(self.results, select.POLLIN)
        return bool(poll.poll(0))

    def received(self) -> dict[int, bytes]:
        """Raises the child's error, or StorageFault when it was killed."""
        done: dict[int, bytes] = {}
        with os.fdopen(os.dup(self.results), "rb") as stream:
            while len(frame := stream.read(_FRAME.size)) == _FRAME.size:
                number, size = _FRAME.unpack(frame)
                if number == _END:
                    return done
                data = stream.read(size)
                if number == _ERROR:
                    raise _error_from(json.loads(data))
                done[number] = data
        raise StorageFault(
            "The second copying process was killed",
            where="The source is untouched, and what was delivered before stays as it is",
            next_step="Check whether the machine ran out of memory (`dmesg`); the data is staged again",
        )


def _be_child(work: Callable[[], dict[int, bytes]], send: int, parent: int) -> NoReturn:
    code = 1
    try:
        syscalls.die_with_parent(signal.SIGKILL)
        gc.disable()  # a collection would copy the parent's pages
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # the parent decides, and its end is ours
        if os.getppid() == parent:
            code = _send(work, send)
    finally:
        os._exit(code)


def _send(work: Callable[[], dict[int, bytes]], send: int) -> int:
    with os.fdopen(os.dup(send), "wb") as stream:
        try:
            done = work()
        except DropslotError as error:
            data = json.dumps(_error_to(error)).encode()
            stream.write(_FRAME.pack(_ERROR, len(data)) + data)
            return 1
        for number, data in done.items():
            stream.write(_FRAME.pack(number, len(data)) + data)
        stream.write(_FRAME.pack(_END, 0))
    return 0


def _error_to(error: DropslotError) -> dict[str, object]:
    reasons = error.reasons if isinstance(error, Refused) else None
    return {
        "kind": type(error).__name__,
        "text": [error.what, error.where, error.next_step],
        "reasons": reasons,
    }


def _error_from(data: dict[str, Any]) -> DropslotError:
    if data["reasons"] is not None:
        return Refused(data["reasons"])
    kind: type[DropslotError] = getattr(errors, data["kind"])
    what, where, next_step = data["text"]
    return kind(what, where=where, next_step=next_step)
