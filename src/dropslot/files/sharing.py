"""Copies many items with two processes: this one and a forked child, which only makes system calls and hashes."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace

from dropslot.core.errors import StorageFault
from dropslot.files.children import Child, ChildDied
from dropslot.files.copying import Job, copy_items
from dropslot.files.listing import Item
from dropslot.files.writing.dense import BIG_BYTES, go_on
from dropslot.files.writing.earlysync import EarlySync

ITEM_COST_BYTES = 32 * 1024  # opening, making and closing a file costs about as much as this many bytes
CHUNK_COST_BYTES = 8 * 1024 * 1024
FORK_COST_BYTES = 32 * 1024 * 1024  # with less work than this a child does not pay off
MAX_CHUNKS = 60_000  # a pipe holds 65,536 bytes, and each chunk needs one
_UNLEASED = -1  # stands beside the numbers of the chunks

Chunk = tuple[int, int]


def copy_shared(job: Job, items: Sequence[Item]) -> bytes:
    """Like `copying.copy_items`, with two processes if that is faster."""
    chunks = _chunks(items)
    if not _worth_a_child(items, chunks):
        return _one_after_the_other(job, items, chunks)
    parts = _shared(job, items, chunks)
    return b"".join(parts[number] for number, _ in sorted(enumerate(chunks), key=lambda c: c[1]))


def _one_after_the_other(job: Job, items: Sequence[Item], chunks: Sequence[Chunk]) -> bytes:
    digests = []
    for start, stop in sorted(chunks):
        digests.append(copy_items(job, items[start:stop]))
        job.pause()
    return b"".join(digests)


def _cpus() -> int:
    return len(os.sched_getaffinity(0))


def _chunks(items: Sequence[Item]) -> list[Chunk]:
    """Ranges of neighbouring items of about equal cost; big items first, so that the end is not one big item."""
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
    # One huge item is faster with a second thread for its hash than in one of two processes.
    return len(chunks) > 1 and cost > FORK_COST_BYTES and largest < 0.6 * cost and _cpus() > 1


def _shared(job: Job, items: Sequence[Item], chunks: Sequence[Chunk]) -> dict[int, bytes]:
    """Digests of each chunk. On return the child has ended in any case."""
    tokens = _tokens(len(chunks))
    # OpenSSL sets up a thread and an algorithm at first use, under locks that another thread may hold at the fork.
    hashlib.sha256()
    try:
        child = Child.fork(lambda: _work_in_child(job, items, list(enumerate(chunks))[::-1], tokens))
        if child is None:  # no process or no memory left: copy alone
            return _work(job, items, list(enumerate(chunks)), tokens)
        with child:
            done = _work(job, items, list(enumerate(chunks)), tokens, child)
            done.update(_result(child))
        job.unleased += int.from_bytes(done.pop(_UNLEASED))
        return done
    finally:
        os.close(tokens)


def _result(child: Child[dict[int, bytes]]) -> dict[int, bytes]:
    try:
        return child.result()
    except ChildDied as error:
        raise StorageFault(
            "The second copying process was killed",
            where="The source is untouched, and what was delivered before stays as it is",
            next_step="Check whether the machine ran out of memory (`dmesg`); the data is staged again",
        ) from error


def _work_in_child(
    job: Job, items: Sequence[Item], chunks: Sequence[tuple[int, Chunk]], tokens: int
) -> dict[int, bytes]:
    job = replace(job, pause=go_on)
    done = _work(job, items, chunks, tokens)
    return done | {_UNLEASED: job.unleased.to_bytes(8)}


def _tokens(count: int) -> int:
    """A pipe with one byte for each chunk. A process that reads a byte takes a chunk: the parent from the front, the
    child from the back. So they work in different folders, never on the same chunk, and end at the same time."""
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
    child: Child[dict[int, bytes]] | None = None,
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
            job.pause()
    return done
