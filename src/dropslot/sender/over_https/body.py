"""The bytes of a file on their way, hashed as they are read; never more than one piece of them is in memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator

from dropslot.sender.inbox import Outgoing, Progress
from dropslot.sender.source_file import CHANGED, Unsendable, opened, require_same, unreadable
from dropslot.sftp.pace import Pace

PIECE_BYTES = 1024 * 1024


class Reading:
    """One file, read from its beginning, once. Use it in a `with` block; opening raises Unsendable."""

    def __init__(self, file: Outgoing, progress: Progress, pace: Pace, check: Callable[[], None]) -> None:
        """`check` raises when no more is to be sent; it is called before each piece."""
        self.file, self._progress, self._pace, self._check = file, progress, pace, check
        self.at = 0
        self._sha256 = hashlib.sha256()
        self._descriptor = opened(file)

    def __enter__(self) -> Reading:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def to(self, end: int) -> None:
        """Read what the server has already, for the digest alone. Raises Unsendable."""
        while self.at < end:
            self._check()
            self._piece(end, PIECE_BYTES)

    def all(self) -> bytes:
        """The whole of a small file. Raises Unsendable."""
        found = b"".join(self.pieces(self.file.size_bytes))
        require_same(self.file, self._descriptor)
        return found

    def rest(self, size_bytes: int) -> Body:
        """A body of the next bytes."""
        return Body(self, size_bytes)

    def digest(self) -> str:
        """SHA-256 (hex) of all that was read. Raises Unsendable if the file was changed meanwhile."""
        require_same(self.file, self._descriptor)
        return self._sha256.hexdigest()

    def _piece(self, end: int, most_bytes: int) -> bytes:
        try:
            piece = os.read(self._descriptor, min(most_bytes, end - self.at))
        except OSError as error:
            raise unreadable(error) from error
        if not piece:
            raise Unsendable(CHANGED)
        self._sha256.update(piece)
        self.at += len(piece)
        return piece

    def pieces(self, end: int) -> Iterator[bytes]:
        """The pieces up to there, each when it may be sent."""
        while self.at < end:
            self._check()
            piece = self._piece(end, min(PIECE_BYTES, self._pace.step() or PIECE_BYTES))
            self._pace.wait(len(piece), self._check)
            yield piece
            self._progress.moved(self.file.path, len(piece))


class Body:
    """What one request sends of a file. It can be iterated once."""

    def __init__(self, reading: Reading, size_bytes: int) -> None:
        self._reading, self._size = reading, size_bytes

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        return self._reading.pieces(self._reading.at + self._size)
