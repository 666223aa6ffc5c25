"""A round trip between a client and a port of this machine: `python -m benchmarks.delay LISTEN TARGET SECONDS`.

Each direction is held up by half of it; bandwidth is not limited.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque

_CHUNK_BYTES = 1 << 18
_MOST_CHUNKS = 4096


async def _hold_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    """Pass on what comes, each piece `seconds` after it came."""
    loop = asyncio.get_running_loop()
    pieces: deque[tuple[float, bytes]] = deque()
    changed = asyncio.Event()

    async def receive() -> None:
        while data := await reader.read(_CHUNK_BYTES):
            pieces.append((loop.time() + seconds, data))
            changed.set()
            while len(pieces) > _MOST_CHUNKS:
                await asyncio.sleep(seconds / 10)
        pieces.append((loop.time() + seconds, b""))
        changed.set()

    receiving = asyncio.create_task(receive())
    try:
        while True:
            while not pieces:
                changed.clear()
                await changed.wait()
            due, data = pieces.popleft()
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            if not data:
                return
            writer.write(data)
            await writer.drain()
    finally:
        receiving.cancel()
        writer.close()


async def _serve(listen: int, target: int, seconds: float) -> None:
    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", target)
        ways = ((reader, there_writer), (there_reader, writer))
        await asyncio.gather(*(_hold_up(*way, seconds / 2) for way in ways), return_exceptions=True)

    server = await asyncio.start_server(pass_on, "127.0.0.1", listen)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
