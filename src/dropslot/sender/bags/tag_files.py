"""The tag files of a bag."""

from __future__ import annotations

import hashlib
import platform
from collections import Counter
from collections.abc import Iterable, Sequence

from dropslot.core.release import VERSION
from dropslot.core.showing.amounts import size
from dropslot.sender.ledger.bags import Bag, BagFile

DECLARATION, INFO, MANIFEST = "bagit.txt", "bag-info.txt", "manifest-sha256.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"
PAYLOAD = "data/"


def tag_files(bag: Bag, files: Sequence[BagFile]) -> dict[str, bytes]:
    """Name to content; the tag manifest, which covers the others, is the last."""
    made = {
        DECLARATION: "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
        INFO: "".join(f"{key}: {' '.join(value.split())}\n" for key, value in _info(bag, files)),
        MANIFEST: "".join(f"{each.sha256}  {_written(PAYLOAD + each.path)}\n" for each in files),
    }
    found = {name: text.encode() for name, text in made.items()}
    lines = (f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in found.items())
    return {**found, TAG_MANIFEST: "".join(lines).encode()}


def _info(bag: Bag, files: Sequence[BagFile]) -> Iterable[tuple[str, str]]:
    total = sum(each.size_bytes for each in files)
    yield "Study", bag.study
    yield "Location", bag.location
    yield "Computer", platform.node()
    for name, count in sorted(
        Counter(each.path.rpartition("/")[0].partition("/")[0] for each in files).items()
    ):
        yield "Contents", f"{name or 'files'}: {count} file{'s' if count != 1 else ''}"
    yield "External-Identifier", bag.name
    yield "Bagging-Date", bag.begun_at[:10]
    yield "Bagging-Time", bag.begun_at
    yield "Payload-Oxum", f"{total}.{len(files)}"
    yield "Bag-Size", size(total)
    yield "Bag-Software-Agent", f"dropslot {VERSION}"


def _written(path: str) -> str:
    """As RFC 8493 has paths in manifests."""
    return path.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
