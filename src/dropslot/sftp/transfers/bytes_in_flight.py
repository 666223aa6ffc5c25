"""Room on the line: how many bytes may be on their way to the server at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dropslot.sftp.transfers.feed import MOST_BYTES


class Room:
    """Who asks first gets room first, so that pieces of a file keep their order. Used in the loop's thread alone, by
    jobs that nobody cancels."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = self._free_bytes = most_bytes
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._called = 0  # how many have room, but did not go on yet

    @asynccontextmanager
    async def of(self, size_bytes: int) -> AsyncIterator[None]:
        """Room for so many bytes while the block runs; what is larger than all of it gets all of it."""
        size_bytes = min(size_bytes, self._most_bytes)
        if self._called or self._waiting or size_bytes > self._free_bytes:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((size_bytes, turn))
            await turn
            self._called -= 1
            self._call()  # who came meanwhile
        else:
            self._free_bytes -= size_bytes
        try:
            yield
        finally:
            self._free_bytes += size_bytes
            self._call()

    def _call(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free_bytes:
            size_bytes, turn = self._waiting.popleft()
            self._free_bytes -= size_bytes
            self._called += 1
            turn.set_result(None)
