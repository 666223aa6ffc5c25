"""Bags on the disk, and what dropslot and the reference implementation say about them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import bagit

from dropslot.contents import bag_manifests as bag
from dropslot.files.listing import Item, Listing


def make(folder: Path, *algorithms: str) -> Path:
    """A valid bag, made by the `bagit` package, with names that are hard to get right."""
    (folder / "sub" / "süb").mkdir(parents=True)
    files = {
        "a.txt": b"alpha",
        "100%.txt": b"percent",
        "empty": b"",
        "sub/b c.nii.gz": b"\x1f\x8b",
        "sub/süb/é": b"e",
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    bagit.make_bag(str(folder), {"Contact-Name": "Ann\n  Example"}, checksums=list(algorithms or ["sha256"]))
    return folder


def listing_of(folder: Path) -> Listing:
    found = Listing(is_folder=True)
    for where, folders, files in os.walk(folder):
        for name in folders:
            found.folders.append((str((Path(where) / name).relative_to(folder)), 0))
        for name in files:
            path = Path(where) / name
            found.items.append(Item(str(path.relative_to(folder)), path.stat().st_size, 0, 0, 0))
    return found


def digests_of(folder: Path, listing: Listing, algorithms: tuple[str, ...]) -> dict[str, dict[str, str]]:
    return {
        item.path: {
            name: hashlib.new(name, (folder / item.path).read_bytes()).hexdigest() for name in algorithms
        }
        for item in listing.items
    }


def faults_of(folder: Path) -> list[str]:
    """What dropslot says; an arrival that is no bag has that as its fault."""
    listing = listing_of(folder)
    found = bag.find(listing)
    if found is None:
        return ["it is not a bag"]
    return found.faults(
        digests_of(folder, listing, found.algorithms), lambda name: (folder / name).open("rb")
    )


def reference_accepts(folder: Path) -> bool:
    """What the `bagit` package says."""
    try:
        return bool(bagit.Bag(str(folder)).is_valid())
    except (bagit.BagError, UnicodeError, ValueError, LookupError):
        return False
