"""Paths of items in a staging folder, and their final paths: the same at every destination.

tree/  laid out like the target: items that are published
rest/  items that are staged (and hashed) but never published
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dropslot.contents.base import NO_OTHERS, Staged
from dropslot.core.errors import TakenOver
from dropslot.core.names import escape
from dropslot.files.listing import Item, Listing

STAGE = "stage"
TREE = "tree"
REST = "rest"


def stage_name(arrival: str, epoch: int, prefix: str) -> str:
    """The name of a staging folder. `prefix` leads from its home to the target. It is part of the name, because two new
    targets of one arrival may have the same home."""
    apart = f".{hashlib.sha256(prefix.encode(errors='surrogateescape')).hexdigest()[:8]}" if prefix else ""
    return f"{arrival}-{epoch}{apart}"


def epoch_of_stage(arrival: str, name: str) -> int | None:
    """The epoch of a staging folder; None if it belongs to another arrival."""
    begin, dash, rest = name.rpartition("-")
    epoch = rest.partition(".")[0]
    return int(epoch) if dash and begin == arrival and epoch.isdecimal() else None


class Entry(NamedTuple):
    """One item: its path in the tree, and its final path; both are relative to the home folder."""

    staged: str
    final: str
    sha256: str


class Layout:
    """Where each folder of an arrival lies in the stage.

    `prefix` leads from the home to the target ("" when the target is the home); `strip` is a leading folder ("data/")
    that is left out; items outside of it go to `rest`.
    """

    def __init__(self, prefix: str, strip: str) -> None:
        self.base = f"{TREE}/{prefix}" if prefix else TREE
        self.strip = strip.rstrip("/") + "/" if strip else ""

    def published(self, path: str) -> str | None:
        """Path of an item or folder below the target; None when it is not published."""
        if not self.strip:
            return path
        return path.removeprefix(self.strip) if path.startswith(self.strip) else None

    def place(self, folder: str) -> str:
        """Folder in the stage for the items of this folder."""
        inner = self.published(f"{folder}/" if folder else "")
        if inner is None:
            return f"{REST}/{folder}" if folder else REST
        return f"{self.base}/{inner}".rstrip("/")

    def path(self, item: str) -> str:
        """Path in the stage of one item."""
        folder, _, name = item.rpartition("/")
        return f"{self.place(folder)}/{name}"


def safe(path: str) -> str:
    """Raise ValueError for an unsafe path. A last line of defence: names are checked long before."""
    if not {"", ".", ".."}.isdisjoint(path.split("/")):
        raise ValueError(f"{escape(path)} is not a path inside the target")
    return path


def published_items(listing: Listing, layout: Layout) -> Iterator[tuple[Item, str]]:
    """Each item that is published, with its path below the target."""
    for item in listing.items:
        if (path := layout.published(item.path)) is not None:
            yield item, path


def taken_over(name: str) -> TakenOver:
    """The error for a worker whose staging folder is gone."""
    return TakenOver(
        f"The staging folder {name} is gone: another worker has taken the arrival over",
        where="It goes on with the arrival; this worker has changed nothing since",
    )


def every(algorithms: Sequence[str]) -> tuple[str, ...]:
    """These algorithms, with sha256 as the first."""
    return tuple(dict.fromkeys(("sha256", *algorithms)))


def staged_items(listing: Listing, algorithms: Sequence[str], digests: bytes) -> list[Staged]:
    """The staged items in listing order. `digests` are joined in the order of `algorithms`; sha256 is the first."""
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
