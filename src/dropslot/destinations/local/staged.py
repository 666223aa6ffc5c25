"""What was staged, from the listing and the digests of the copying."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from dropslot.contents.items import NO_OTHERS, Staged
from dropslot.files.listing import Listing


def staged_items(listing: Listing, algorithms: Sequence[str], digests: bytes) -> list[Staged]:
    """In listing order; `digests` are joined, in the order of `algorithms`, of which the first is sha256."""
    sizes = [hashlib.new(name, usedforsecurity=False).digest_size for name in algorithms]
    width = sum(sizes)
    if width == 32:
        new = tuple.__new__
        return [
            new(Staged, (item.path, item.size_bytes, item.mtime_ns, digests[at : at + 32].hex(), NO_OTHERS))
            for at, item in zip(range(0, len(digests), 32), listing.items, strict=True)
        ]
    staged = []
    for number, item in enumerate(listing.items):
        at = number * width
        found = {}
        for name, size in zip(algorithms, sizes, strict=True):
            found[name], at = digests[at : at + size].hex(), at + size
        staged.append(Staged(item.path, item.size_bytes, item.mtime_ns, found.pop("sha256"), found))
    return staged
