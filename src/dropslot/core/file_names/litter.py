"""Litter: what file managers, Office and network storage leave in folders by themselves. It is not data of a
study."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import translate
from functools import lru_cache

from dropslot.core.patterns import composed

# Only the name decides, in any letter case; such a file is not read. An ignored folder is ignored with everything in
# it. Left out on purpose: `.x.icloud` and other stand-ins for content that is missing, and hidden names as such.
BY_DEFAULT = (
    # macOS: Finder, AppleDouble files, indexes and trashes of volumes
    ".DS_Store",
    "._*",
    "Icon\r",
    ".localized",
    "__MACOSX",
    ".AppleDouble",
    ".AppleDB",
    ".AppleDesktop",
    ".LSOverride",
    ".VolumeIcon.icns",
    ".apdisk",
    ".com.apple.timemachine.*",
    ".DocumentRevisions-V100",
    ".Spotlight-V100",
    ".TemporaryItems",
    "Temporary Items",
    "Network Trash Folder",
    ".Trashes",
    ".fseventsd",
    ".metadata_never_index",
    # Windows: Explorer, trashes, and streams that became files of their own
    "Thumbs.db",
    "Thumbs.db:encryptable",
    "ehthumbs.db",
    "ehthumbs_vista.db",
    "desktop.ini",
    "$RECYCLE.BIN",
    "RECYCLER",
    "System Volume Information",
    # Servers that store Windows' names write a colon as a private-use character (SFM and SFU).
    "*[:\uf022\uf03a]Zone.Identifier*",
    "*[:\uf022\uf03a]com.apple.*",
    "*[:\uf022\uf03a]AFP_AfpInfo*",
    "*[:\uf022\uf03a]AFP_Resource*",
    "*[:\uf022\uf03a]com.dropbox.attr*",
    # Office and LibreOffice: who has a document open
    "~$*",
    ".~lock.*#",
    # Linux: trashes, file managers, and what is deleted but still open
    ".Trash",
    ".Trash-*",
    ".directory",
    ".nfs????????????????????????",
    ".fuse_hidden*",
    ".smbdelete*",
    "lost+found",
    # Network storage: Synology and QNAP
    "@eaDir",
    "#recycle",
    "#snapshot",
    "@Recycle",
    "@Recently-Snapshot",
    ".@__thumb",
)


class Litter:
    """Which entries of an arrival or inbox are ignored: patterns of names, and exceptions by path. Letter case and
    Unicode form make no difference, as on Windows and macOS.
    """

    def __init__(self, patterns: Iterable[str] = BY_DEFAULT, kept: frozenset[str] = frozenset()) -> None:
        self.patterns = tuple(patterns)
        self._expression = re.compile("|".join(map(translate, map(_folded, self.patterns))) or r"(?!)")
        exact = [pattern for pattern in self.patterns if not re.search(r"[*?\[]", pattern)]
        self._exact = frozenset(map(_folded, exact))
        self._pieces = tuple({_longest_literal(_folded(p)) for p in self.patterns if p not in exact})
        self._kept = kept

    def keeping(self, paths: Iterable[str]) -> Litter:
        """The same, but these paths (and so the folders above them) are not ignored."""
        return Litter(self.patterns, frozenset(part for path in paths for part in _path_and_folders(path)))

    def is_named(self, path: str) -> bool:
        """Whether this path inside an arrival is ignored unless it is kept: it, or a folder above it, is litter."""
        return any(map(self.match, path.split("/")))

    @property
    def keeps(self) -> bool:
        """Whether there are paths that are kept."""
        return bool(self._kept)

    def match(self, name: str) -> bool:
        """Whether `name`, one part of a path, is litter's."""
        return self._expression.match(_folded(name)) is not None

    def ignores(self, path: str) -> bool:
        """Whether this path inside an arrival is ignored."""
        return path not in self._kept and self.is_named(path)

    def may_be_among(self, folder: str, names: Sequence[str]) -> bool:
        """Whether a closer look is needed. This is quick, because most arrivals have many names and no litter."""
        text = _folded("/".join((folder, *names)))
        return not self._exact.isdisjoint(text.split("/")) or any(piece in text for piece in self._pieces)


@lru_cache(maxsize=64)
def litter_of(patterns: tuple[str, ...]) -> Litter:
    """The litter of a route, made once in a process."""
    return Litter(patterns)


def _path_and_folders(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition("/")[0]


def _folded(text: str) -> str:
    return composed(text.casefold())


def _longest_literal(pattern: str) -> str:
    """A text that is in each name which matches."""
    return max(re.split(r"[*?]|\[!?\]?[^\]]*\]", pattern), key=len)


NONE = Litter(())
