"""From the thread that reads and hashes to the loop that sends: bounded, in order of arrival, first failure wins."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

MOST_BYTES = 48 * 1024 * 1024
MOST_JOBS = 384

Job = Callable[[], Coroutine[Any, Any, None]]


class Feed:
    """`put` is called by one thread, the jobs run in the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, most_bytes: int = MOST_BYTES) -> None:
        self._loop, self._most_bytes = loop, most_bytes
        self._changed = threading.Condition()
        self._jobs: deque[tuple[Job, int]] = deque()
        self._scheduled = False
        self._bytes = self._count = 0
        self._failure: BaseException | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def put(self, job: Job, size_bytes: int) -> None:
        """Run `job` in the loop; waits while too much is in flight. Raises the exception of a job."""
        with self._changed:
            while self._failure is None and self._count and not self._has_room(size_bytes):
                self._changed.wait()
            self._raise()
            self._bytes += size_bytes
            self._count += 1
            self._jobs.append((job, size_bytes))
            wake, self._scheduled = not self._scheduled, True
        if wake:
            self._loop.call_soon_threadsafe(self._start)

    def finish(self) -> None:
        """Wait for all jobs. Raises the exception of the first one that failed."""
        self.settle()
        with self._changed:
            self._raise()

    def settle(self, seconds: float | None = None) -> bool:
        """Wait until no job runs any more, whatever their results; False if that takes longer than `seconds`."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._count, seconds)

    def _has_room(self, size_bytes: int) -> bool:
        return self._count < MOST_JOBS and self._bytes + size_bytes <= self._most_bytes

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _start(self) -> None:
        with self._changed:
            jobs = list(self._jobs)
            self._jobs.clear()
            self._scheduled = False
        for job, size_bytes in jobs:
            task = self._loop.create_task(self._run(job, size_bytes))
            self._tasks.add(task)  # the loop itself keeps weak references only
            task.add_done_callback(self._tasks.discard)

    async def _run(self, job: Job, size_bytes: int) -> None:
        failure: BaseException | None = None
        try:
            if self._failure is None:
                await job()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            failure = error
        with self._changed:
            self._bytes -= size_bytes
            self._count -= 1
            self._failure = self._failure or failure
            self._changed.notify()
