"""Bags (BagIt, RFC 8493): compares the sender's manifests with the staged items.

    bag = find(listing)             before staging; None: the arrival is not a bag
    bag.algorithms                  digests to take while each item is read once
    bag.faults(digests, open_tag)   afterwards; empty: the payload matches the sender's manifests
    PAYLOAD                         the folder whose contents are delivered

MD5 and SHA-1 find damage but not forgery. They are accepted, and SHA-256 is always taken and recorded as well.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import BinaryIO

from dropslot.contents.bag_completeness import Listed, compare, forms_of
from dropslot.contents.manifest_lines import (
    HEX_DIGITS,
    Entry,
    Malformed,
    algorithm_of,
    entries,
    fetched,
    lines,
)
from dropslot.core.names import escape
from dropslot.core.patterns import composed
from dropslot.files.listing import Listing

PAYLOAD = "data/"
DECLARATION = "bagit.txt"
INFO = "bag-info.txt"
FETCH = "fetch.txt"
_MANIFEST = re.compile(r"(?P<tag>tag)?manifest-(?P<algorithm>[^/]+)\.txt", re.IGNORECASE)
_VERSION = re.compile(r"BagIt-Version: (0\.9[3-7]|1\.0)")
_ENCODING = re.compile(r"Tag-File-Character-Encoding: (\S+)")
_OXUM = re.compile(r"([0-9]{1,19})\.([0-9]{1,19})")
# Encodings of text, by their IANA names. Python also has codecs that are not text, such as `zip`.
_ENCODINGS = re.compile(
    r"UTF-?8|UTF-?(16|32)(LE|BE)?|(US-)?ASCII|ISO[-_]8859-\d{1,2}|windows-\d{3,4}|KOI8-[RU]|macintosh"
    r"|Shift_JIS|EUC-(JP|KR)|ISO-2022-JP|GB18030|GBK|GB2312|Big5|TIS-620",
    re.IGNORECASE,
)
_LISTED = 1000

OpenTag = Callable[[str], BinaryIO]


@dataclass(frozen=True, slots=True)
class Bag:
    """Facts about a bag from its file names. `sizes` maps every item of the arrival to its bytes."""

    sizes: Mapping[str, int]
    has_payload_folder: bool
    manifests: Mapping[str, str] = field(default_factory=dict)  # algorithm to file name
    tag_manifests: Mapping[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()  # manifests in algorithms that dropslot does not know
    double: tuple[str, ...] = ()  # a second manifest in an algorithm

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The digests to take of every item; always with SHA-256."""
        return tuple(sorted({"sha256", *self.manifests, *self.tag_manifests}))

    def faults(self, digests: Mapping[str, Mapping[str, str]], open_tag: OpenTag) -> list[str]:
        """A sentence for each difference from the bag's manifests; at most a thousand, then the number of the others.

        `digests` are of the staged bytes of every item, by path and algorithm; `open_tag` opens staged tag files.
        Read errors pass through: they are not a verdict.
        """
        found = self._faults(digests, open_tag)
        listed = list(islice(found, _LISTED))
        more = sum(1 for _ in found)
        return [*listed, f"The bag has {more:,} more faults"] if more else listed

    def _faults(self, digests: Mapping[str, Mapping[str, str]], open_tag: OpenTag) -> Iterator[str]:
        yield from self._faults_of_structure()
        try:
            with open_tag(DECLARATION) as file:
                version, encoding = _declaration(file)
        except Malformed as fault:
            yield f"{DECLARATION}: {fault}"
            return
        if INFO in self.sizes:
            yield from self._faults_of_info(open_tag, encoding)
        if FETCH in self.sizes:
            yield from self._faults_of_fetch(open_tag, encoding, version)
        payload = self._to_be_listed(open_tag, version)
        twice = version < (1, 0)  # RFC 8493 forbids it; earlier drafts did not
        for algorithm, name in self.manifests.items():
            listed = Listed(name, algorithm, digests)
            with open_tag(name) as file:
                found = entries(file, algorithm, encoding, version)
                yield from compare(listed, found, payload, only=PAYLOAD, twice=twice)
        for algorithm, name in self.tag_manifests.items():
            # From 1.0 on a tag manifest lists every payload manifest; other tag files may stay unlisted.
            wanted = self.manifests.values() if version >= (1, 0) else ()
            listed = Listed(name, algorithm, digests)
            with open_tag(name) as file:
                found = entries(file, algorithm, encoding, version)
                yield from compare(listed, found, wanted, never=PAYLOAD, twice=twice)

    def _to_be_listed(self, open_tag: OpenTag, version: tuple[int, int]) -> list[str]:
        """The payload that each manifest must list. From 1.0 on all of it; before, the items that no other manifest
        lists."""
        payload = [path for path in self.sizes if path.startswith(PAYLOAD)]
        if version >= (1, 0) or len(self.manifests) < 2:
            return payload
        listed = set(map(composed, self.listed(open_tag)))
        return [path for path in payload if composed(path) not in listed]

    def listed(self, open_tag: OpenTag) -> set[str]:
        """The paths that its manifests list, as far as they can be read: listed files are not litter."""
        try:
            with open_tag(DECLARATION) as file:
                version, encoding = _declaration(file)
        except Malformed:
            return set()
        paths = set()
        for algorithm, name in (*self.manifests.items(), *self.tag_manifests.items()):
            with open_tag(name) as file:
                found = entries(file, algorithm, encoding, version)
                paths |= {entry.path for entry in found if isinstance(entry, Entry)}
        return paths

    def _faults_of_structure(self) -> Iterator[str]:
        if not self.has_payload_folder:
            yield f"The bag has no folder {PAYLOAD}"
        if not self.manifests:
            known = ", ".join(HEX_DIGITS)
            also = f" (it has {', '.join(map(escape, self.unknown))})" if self.unknown else ""
            yield f"The bag has no manifest in an algorithm that dropslot knows: {known}{also}"
        for name in self.double:
            yield f"{escape(name)}: a second manifest in the same algorithm"

    def _faults_of_fetch(self, open_tag: OpenTag, encoding: str, version: tuple[int, int]) -> Iterator[str]:
        """Files in fetch.txt must have been fetched already: the bag is complete if it has all of them."""
        forms = forms_of(self.sizes)
        with open_tag(FETCH) as file:
            for path in fetched(file, encoding, version):
                if isinstance(path, Malformed):
                    yield f"{FETCH}: {path}"
                elif not path.startswith(PAYLOAD):
                    yield f"{FETCH}: it lists {escape(path)}, which is not a payload file"
                elif path not in self.sizes and forms.get(composed(path)) is None:
                    yield f"{FETCH}: {escape(path)} is still to be fetched; dropslot does not fetch: send the whole bag"

    def _faults_of_info(self, open_tag: OpenTag, encoding: str) -> Iterator[str]:
        try:
            with open_tag(INFO) as file:
                sums = [value for label, value in _tags(file, encoding) if label.casefold() == "payload-oxum"]
        except Malformed as fault:
            yield f"{INFO}: {fault}"
            return
        if len(sums) > 1:
            yield f"{INFO}: Payload-Oxum is given {len(sums)} times"
        for value in sums:
            yield from self._faults_of_oxum(value)

    def _faults_of_oxum(self, value: str) -> Iterator[str]:
        match = _OXUM.fullmatch(value)
        if match is None:
            yield f"{INFO}: Payload-Oxum must be BYTES.FILES, not {escape(value[:80])}"
            return
        sizes = [size for path, size in self.sizes.items() if path.startswith(PAYLOAD)]
        said, found = (int(match[1]), int(match[2])), (sum(sizes), len(sizes))
        if said != found:
            yield f"{INFO}: Payload-Oxum says {said[0]} bytes in {said[1]} files; here are {found[0]} in {found[1]}"


def find(listing: Listing) -> Bag | None:
    """The bag of this listing, or None. An arrival is a bag if it has a bagit.txt at its top."""
    sizes = {item.path: item.size_bytes for item in listing.items}
    if not listing.is_folder or DECLARATION not in sizes:
        return None
    manifests: dict[str, str] = {}
    tag_manifests: dict[str, str] = {}
    unknown, double = [], []
    for name in sizes:
        if match := _MANIFEST.fullmatch(name):
            kind = tag_manifests if match["tag"] else manifests
            algorithm = algorithm_of(match["algorithm"])
            if algorithm is None:
                unknown.append(name)
            elif kind.setdefault(algorithm, name) != name:
                double.append(name)
    has_payload = any(path == PAYLOAD.rstrip("/") for path, _ in listing.folders)
    return Bag(sizes, has_payload, manifests, tag_manifests, tuple(unknown), tuple(double))


def _declaration(file: BinaryIO) -> tuple[tuple[int, int], str]:
    """Version and encoding from bagit.txt, which has just these two lines. Raises Malformed."""
    found = list(islice(lines(file, "utf-8"), 3))
    version = _VERSION.fullmatch(found[0]) if found else None
    encoding = _ENCODING.fullmatch(found[1]) if len(found) > 1 else None
    if version is None or encoding is None or len(found) != 2:
        raise Malformed(
            "it must be two lines, `BagIt-Version: 1.0` (or 0.93 to 0.97) and `Tag-File-Character-Encoding: UTF-8`"
        )
    major, minor = version[1].split(".")
    return (int(major), int(minor)), _codec(encoding[1])


def _codec(encoding: str) -> str:
    """Python's name of an encoding. Raises Malformed."""
    try:
        name = codecs.lookup(encoding).name if _ENCODINGS.fullmatch(encoding) else ""
    except LookupError:
        name = ""
    if not name:
        raise Malformed(
            f"dropslot cannot read tag files in {escape(encoding[:40])}; write UTF-8, or another of IANA's list"
        )
    return "utf-8-sig" if name == "utf-8" else name  # a byte order mark is not part of the text


def _tags(file: BinaryIO, encoding: str) -> Iterator[tuple[str, str]]:
    """Labels and values of a tag file, folded lines joined. Raises Malformed."""
    label, value = "", ""
    for number, line in enumerate(lines(file, encoding), 1):
        if line[:1] in (" ", "\t") and label:
            value = f"{value} {line.strip()}"
        elif line.strip():
            if label:
                yield label, value
            label, colon, value = (part.strip() for part in line.partition(":"))
            if not label or not colon:
                raise Malformed(f"line {number}: expected `Label: value`")
    if label:
        yield label, value
