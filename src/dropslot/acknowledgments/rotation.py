"""Which files hold a log, and from where each is to be read: by fingerprints of what was read, not by name or inode."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

from dropslot.acknowledgments.sources import LogFile, Source, opened

FIRST_BYTES = 1024
REMEMBERED = 8  # files; a late line in an older one is not looked for


@dataclass(slots=True)
class Mark:
    """How far one file was read. `first`: so many of its first bytes have this SHA-256. `skipping`: within a line that
    is too long; `finished`: compressed, and read to its end."""

    offset: int = 0
    first: int = 0
    sha256: str = ""
    skipping: bool = False
    finished: bool = False

    def fits(self, file: LogFile) -> bool:
        """Whether this is the file that was marked."""
        if not self.first:
            return not file.read(0, 1)
        data = file.read(0, self.first)
        return len(data) == self.first and sha256(data).hexdigest() == self.sha256

    def moved(self, file: LogFile, offset: int, *, skipping: bool) -> Mark:
        """The mark after reading on. Only bytes that were read are taken: those behind may still change."""
        if self.first >= FIRST_BYTES:
            return Mark(offset, self.first, self.sha256, skipping)
        data = file.read(0, min(FIRST_BYTES, offset))
        return Mark(offset, len(data), sha256(data).hexdigest(), skipping)


def load(marks: Sequence[dict[str, Any]]) -> list[Mark]:
    """Marks as the database has them, the oldest file first."""
    return [Mark(**mark) for mark in marks]


def dump(marks: Sequence[Mark]) -> list[dict[str, Any]]:
    """Marks for the database; the oldest are forgotten."""
    return [asdict(mark) for mark in marks[-REMEMBERED:]]


@dataclass(slots=True)
class Part:
    """One file of a log, to be read from its mark on. The reader closes it."""

    name: str
    file: LogFile
    mark: Mark
    known: bool


def parts(source: Source, marks: Sequence[Mark]) -> list[Part]:
    """The files to read, the oldest first: what came since the newest known one, that one, and the one before it, to
    which a server writes for a while after the rotation. Without marks: the log alone.

    Raises LogUnready. What it opened is closed when it raises.
    """
    found: list[Part] = []
    try:
        for part in _walk(source, marks):
            found.insert(0, part)
    except BaseException:
        for part in found:
            part.file.close()
        raise
    return found


def _walk(source: Source, marks: Sequence[Mark]) -> Iterator[Part]:
    """From the newest file to older ones."""
    names = [source.name, *reversed(rotated(source.name, source.names()))]
    seen: list[Mark] = []
    for name in names if marks else names[:1]:
        try:
            file = opened(source, name)
        except FileNotFoundError:
            continue  # rotated in this moment: it is found under its next name
        mark = next((mark for mark in reversed(marks) if mark.fits(file)), None)
        if mark is None and not seen:
            yield Part(name, file, Mark(), known=False)
        elif mark is not None and not mark.finished and mark not in seen:
            yield Part(name, file, mark, known=True)
        else:
            file.close()  # read to its end, or the copy that copytruncate makes of what is read already
        if seen or (mark is not None and not mark.first):
            return
        seen += [mark] if mark is not None else []


def rotated(name: str, names: Sequence[str]) -> list[str]:
    """The rotated files of log `name`, the oldest first: numbered ones (`.2`), then dated ones (`-20260131`), each
    perhaps compressed. Of a file that is there twice, the one that is not compressed."""
    found: dict[str, tuple[bool, tuple[int, ...], str]] = {}
    for candidate in sorted(names):  # NAME comes before NAME.gz
        if mark := _rotation(name, candidate):
            stem = candidate.removesuffix(".gz")
            dated = len(mark[0]) >= 4
            order = tuple(int(part) for part in mark)
            found.setdefault(stem, (dated, order if dated else (-order[0],), candidate))
    return [candidate for _, _, candidate in sorted(found.values())]


def _rotation(name: str, candidate: str) -> list[str] | None:
    """The number or date in the name of a rotated file, as digits."""
    stem, dot, extension = name.rpartition(".")
    shapes = [rf"{re.escape(name)}[.-]([\d][\d.T_-]*)"]
    if dot and stem:
        shapes.append(rf"{re.escape(stem)}[.-]([\d][\d.T_-]*)\.{re.escape(extension)}")
    for shape in shapes:
        if found := re.fullmatch(shape + r"(?:\.gz)?", candidate):
            return re.findall(r"\d+", found[1])
    return None
