"""The SHA-256 of a file of this PC, for comparing it with what was sent before."""

from __future__ import annotations

import hashlib
from pathlib import Path

from dropslot.sender.plan import Watcher

_PIECE_BYTES = 1 << 20


def sha256(source: str, watcher: Watcher) -> str:
    """The digest (hex). Raises OSError, and what the watcher raises."""
    digest, path = hashlib.sha256(), Path(source)
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
            watcher.hashed(path, len(piece))
            watcher.check()
    return digest.hexdigest()
