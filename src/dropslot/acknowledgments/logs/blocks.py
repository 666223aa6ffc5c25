"""A log in blocks of whole lines, and the few lines of a block that can matter. Memory does not grow with the length
of the log or of a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from dropslot.acknowledgments.logs.log_sources import LogFile

BLOCK = 1 << 20
# Three headers of 8 KiB (Apache's limit) are four times as long if each byte is written as \xhh. So nobody can hide a
# fetch in a line that is too long to be read.
LONGEST_LINE = 256 << 10
SAMPLE = 5
_SAMPLED = 320 << 10  # bytes at either end of a block


class Block(NamedTuple):
    """Whole lines, each with its newline; `end` is the offset after them. `skipping`: a line that is too long
    continues; `skipped`: how many such lines ended here."""

    data: bytes
    end: int
    skipping: bool = False
    skipped: int = 0


def blocks(file: LogFile, offset: int, *, skipping: bool = False, size: int = BLOCK) -> Iterator[Block]:
    """The bytes from `offset` to the last newline. A line without its newline is left for later."""
    while data := file.read(offset, size):
        whole = len(data) == size
        if skipping:
            found = data.find(b"\n") + 1
            offset += found or len(data)
            skipping = not found
            yield Block(b"", offset, skipping, int(not skipping))
            continue
        lines = data.rfind(b"\n") + 1
        if not lines and not whole:
            return
        offset += lines or len(data)
        skipping = not lines
        yield Block(data[:lines], offset, skipping)


class Sieve:
    """Finds the lines of a block that contain a text, also percent-encoded; without a text, all lines."""

    def __init__(self, needle: bytes) -> None:
        self._needle = needle
        codes = "|".join(f"{code:02x}" for code in sorted(set(needle)))
        self._encoded = re.compile(f"%(?:{codes})".encode(), re.IGNORECASE)

    def lines(self, data: bytes) -> Iterator[bytes]:
        """Lines that may matter, in order, without their newlines."""
        if not self._needle:
            yield from data[:-1].split(b"\n") if data else ()
            return
        for start, end in sorted(self._spans(data)):
            yield data[start:end]

    def _spans(self, data: bytes) -> set[tuple[int, int]]:
        spans = set()
        at = data.find(self._needle)
        while at >= 0:
            end = data.find(b"\n", at)
            spans.add((data.rfind(b"\n", 0, at) + 1, end))
            at = data.find(self._needle, end)
        for found in self._encoded.finditer(data):
            spans.add((data.rfind(b"\n", 0, found.start()) + 1, data.find(b"\n", found.end())))
        return spans


def last_lines(file: LogFile) -> list[bytes]:
    """Whole lines at the end of a file, as many as LONGEST_LINE bytes hold; of a compressed one those at its beginning,
    which are read sooner."""
    size = file.size()
    begin = max(0, size - LONGEST_LINE) if size else 0
    lines = file.read(begin, LONGEST_LINE).split(b"\n")
    return lines[1 if begin else 0 : -1]


def sample(data: bytes) -> list[bytes]:
    """The first and the last lines of a block: they show whether it has the expected format."""
    if not data:
        return []
    first = data[:_SAMPLED].split(b"\n")[:-1][:SAMPLE]
    last = data[-_SAMPLED:].split(b"\n")[1:-1][-SAMPLE:]
    return [line for line in dict.fromkeys([*first, *last]) if len(line) <= LONGEST_LINE]
