"""The manifests that lie at destinations."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from ulid import ULID

from dropslot.core import manifests
from dropslot.core.names import RESERVED, escape
from dropslot.destinations import for_url
from dropslot.destinations.base import Found, Target

FOLDER = f"{RESERVED}/manifests"
_HIDDEN = re.compile(r"([0-7][0-9A-HJKMNP-TV-Z]{25})(?:\.v(\d+))?\.sha256")
_LONGEST_BESIDE = 64 << 20
Problem = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest of one arrival at one target: (SHA-256, stored path) of each item. `at` is when it was written."""

    arrival: str
    url: str
    text: str
    at: datetime

    @property
    def lines(self) -> list[tuple[str, str]]:
        """(SHA-256, stored path) of each item."""
        return list(manifests.parse(self.text))


def ids(target: Target) -> dict[str, tuple[str, Found]]:
    """The arrivals that have a hidden manifest at a target, each with its file's name (the last one, if there are
    several)."""
    found: dict[str, tuple[int, str, Found]] = {}
    for name, seen in for_url(target.url).listing(target, FOLDER).items():
        if seen.regular and (match := _HIDDEN.fullmatch(name)):
            version = int(match[2] or 1)
            if match[1] not in found or found[match[1]][0] < version:
                found[match[1]] = (version, name, seen)
    return {arrival: (name, seen) for arrival, (_, name, seen) in found.items()}


def hidden(target: Target, known: Callable[[str], bool], problem: Problem) -> Iterator[Manifest]:
    """The hidden manifests of arrivals that are not known yet, in the order of their ids."""
    for arrival, (name, seen) in sorted(ids(target).items()):
        if not known(arrival) and (text := _read(target, f"{FOLDER}/{name}", problem)):
            yield Manifest(arrival, target.url, text, moment(seen.mtime_ns))


def beside(target: Target, by_digest: Mapping[str, str], problem: Problem) -> Iterator[Manifest]:
    """The manifests beside the files. A receipt with the same digest shows whose they are; otherwise they get an id
    that is always the same."""
    names = for_url(target.url).listing(target, "")
    texts = {
        name: _read(target, name, lambda _: None)
        for name, seen in sorted(names.items())
        if seen.regular and name.endswith(".sha256") and 0 < seen.size_bytes <= _LONGEST_BESIDE
    }
    # Senders' own lists of sums, which have such names, too, are items of some manifest.
    items = {path for text in texts.values() for _, path in manifests.parse(text) if path in texts}
    for name, text in texts.items():
        at = names[name].mtime_ns
        if text and (arrival := by_digest.get(manifests.digest(text))):
            yield Manifest(arrival, target.url, text, moment(at))
        elif name in items or target.rules.manifest != "beside":
            continue
        elif text:
            yield Manifest(made_up_id(target.url, text, at), target.url, text, moment(at))
        else:
            problem(f"{escape(target.url)}/{escape(name)} is not a manifest, or is incomplete")


def made_up_id(url: str, text: str, mtime_ns: int) -> str:
    """An id for an arrival that has lost its own: of that time, and always the same."""
    milliseconds = max(0, mtime_ns // 1_000_000) & ((1 << 48) - 1)
    rest = hashlib.sha256(f"{url}\0{text}".encode("utf-8", "surrogateescape")).digest()[:10]
    return str(ULID.from_bytes(milliseconds.to_bytes(6, "big") + rest))


def moment(mtime_ns: int) -> datetime:
    """A file's time."""
    try:
        return datetime.fromtimestamp(mtime_ns / 1e9, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.fromtimestamp(0, UTC)


def _read(target: Target, name: str, problem: Problem) -> str:
    """The text of a sound manifest; empty if it is not sound."""
    try:
        text = b"".join(for_url(target.url).read(target, name)).decode("utf-8", "surrogateescape")
        for _ in manifests.parse(text):
            pass
    except FileNotFoundError:
        return ""
    except ValueError as error:
        problem(f"{escape(target.url)}/{escape(name)} cannot be read as a manifest: {error}")
        return ""
    return text
