"""A port of this machine that lets so many bytes a second through in each connection:
`python -m benchmarks.limit LISTEN TARGET BYTES_A_SECOND`.

Only what the client sends is limited, as by a far server whose connections each get their share of the line.
"""

from __future__ import annotations

import asyncio
import sys

_CHUNK_BYTES = 1 << 18


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bytes_a_second: float) -> None:
    loop = asyncio.get_running_loop()
    free = loop.time()
    while data := await reader.read(_CHUNK_BYTES):
        writer.write(data)
        await writer.drain()
        if bytes_a_second:
            free = max(free, loop.time()) + len(data) / bytes_a_second
            await asyncio.sleep(max(0.0, free - loop.time()))
    writer.close()


async def _serve(listen: int, target: int, bytes_a_second: float) -> None:
    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(
            _pass_on(reader, there_writer, bytes_a_second),
            _pass_on(there_reader, writer, 0),
            return_exceptions=True,
        )

    server = await asyncio.start_server(connect, "127.0.0.1", listen, limit=_CHUNK_BYTES)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
