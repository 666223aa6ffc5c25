"""Names that a file system may treat as the same name."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def pairs_folded(names: Sequence[str], *, case: bool, form: bool) -> list[tuple[str, str]]:
    """Pairs of paths that become equal when `case` and Unicode normal `form` do not count, parts of folders too.

    Each path is paired with the first one that it folds into.
    """
    if not (case or form):
        return []
    first: dict[str, str] = {}
    pairs = []
    for path in dict.fromkeys(_with_folders(names)):
        seen = first.setdefault(_folded(path, case, form), path)
        if seen != path:
            pairs.append((seen, path))
    return pairs


def _with_folders(names: Sequence[str]) -> list[str]:
    """The folders as well: `a/x` and `A/y` share no name, and yet one folder."""
    folders: dict[str, None] = {}
    for name in names:
        folder = name.rpartition("/")[0]
        while folder and folder not in folders:
            folders[folder] = None
            folder = folder.rpartition("/")[0]
    return [*folders, *names]


def _folded(path: str, case: bool, form: bool) -> str:
    if path.isascii():
        return path.lower() if case else path
    if form:
        path = unicodedata.normalize("NFD", path)
    if case:
        path = path.casefold()
    return unicodedata.normalize("NFD", path) if form else path
