"""Names that differ only in their spelling (case, forms of Unicode): folders that are not found for that, and names
that a file system treats as the same.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from dropslot.core.patterns import composed


def twin(name: str, there: Iterable[str]) -> str:
    """A sentence, beginning with its full stop, if one of the names that are there looks like `name`; else nothing."""
    if not any(other != name and composed(other) == composed(name) for other in there):
        return ""
    form = "composed (NFC)" if composed(name) == name else "decomposed (NFD, as macOS sends it)"
    return (
        ". There is a folder whose name looks the same and is written in another form of Unicode; the name that is"
        f" looked for is {form}. Rename that folder to this form, or send the arrival under a name in the folder's"
    )


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
