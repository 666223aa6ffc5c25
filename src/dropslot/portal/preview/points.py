"""Points that a process without rights has drawn, as a picture that browsers show."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator

from dropslot.parsing.page_points import BYTES_A_POINT, stride_of


def png_of(canvas: int, width: int, height: int) -> bytes:
    """The points as a PNG (ISO/IEC 15948), written here: nothing that the other process wrote is interpreted."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packer = zlib.compressobj(4)
    packed = b"".join((*map(packer.compress, _rows(canvas, width, height)), packer.flush()))
    chunks = ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _rows(canvas: int, width: int, height: int) -> Iterator[bytes]:
    for row in range(height):
        yield b"\0" + os.pread(canvas, width * BYTES_A_POINT, row * stride_of(width))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
