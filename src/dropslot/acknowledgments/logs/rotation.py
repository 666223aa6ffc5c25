"""Which files hold a log, and in which order they are to be read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from dropslot.acknowledgments.logs.log_sources import LogFile, Source
from dropslot.acknowledgments.logs.marks import Mark, mark_of
from dropslot.acknowledgments.logs.open_logs import PACKED, opened

OPEN_AT_ONCE = 200  # files: a first run may find years of them


@dataclass(slots=True)
class Part:
    """One file of a log, to be read from its mark on. The caller closes it."""

    name: str
    file: LogFile
    mark: Mark
    known: bool


@dataclass(slots=True)
class Parts:
    """Files to read, the oldest first. `more`: there are newer ones, to be found once these are read."""

    files: list[Part] = field(default_factory=list)
    more: bool = False

    def close(self) -> None:
        """Close the remaining files."""
        while self.files:
            self.files.pop().file.close()


def parts(source: Source, marks: Sequence[Mark], *, older: bool) -> Parts:
    """The files to read: what came since the newest known one, that one, and the one before it, to which a server
    writes for a while after the rotation. Without marks: the log alone, with `older` all that were rotated, too.

    Raises LogUnready, FileNotFoundError for a folder that is missing. If it raises, it has closed what it opened.
    """
    found = Parts()
    try:
        for part in _walk(source, marks, older=older):
            found.files.insert(0, part)
            if len(found.files) > OPEN_AT_ONCE:
                found.files.pop().file.close()
                found.more = True
    except BaseException:
        found.close()
        raise
    return found


def _walk(source: Source, marks: Sequence[Mark], *, older: bool) -> Iterator[Part]:
    """From the newest file to older ones."""
    seen: list[Mark] = []
    names = newest_first(source)
    for name in names if marks or older else names[:1]:
        try:
            file = opened(source, name)
        except FileNotFoundError:
            continue  # rotated in this moment: it is found under its next name
        try:
            mark = mark_of(file, marks)
        except BaseException:
            file.close()
            raise
        if mark is None and not seen:
            yield Part(name, file, Mark(), known=False)
        elif mark is not None and mark not in seen and not (mark.finished and name.endswith(PACKED)):
            yield Part(name, file, mark, known=True)
        else:
            file.close()  # read to its end, or copytruncate's copy of what is read already
        if seen or (mark is not None and not mark.first):
            return
        seen += [mark] if mark is not None else []


def newest_first(source: Source) -> list[str]:
    """The names of a log: its own, then those of its rotated files, the newest first."""
    return [source.name, *reversed(rotated(source.name, source.names()))]


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
