"""Names that differ only in spelling (case, forms of Unicode): folders that are not found for that reason, and names
that a file system treats as the same.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from dropslot.core.patterns import composed


def twin(name: str, there: Iterable[str]) -> str:
    """A sentence, with a leading full stop, if one of the existing names looks like `name`; otherwise empty."""
    if not any(other != name and composed(other) == composed(name) for other in there):
        return ""
    form = "composed (NFC)" if composed(name) == name else "decomposed (NFD, as macOS sends it)"
    return (
        ". There is a folder whose name looks the same and is written in another form of Unicode; the name that is"
        f" looked for is {form}. Rename that folder to this form, or send the arrival under a name in the folder's"
    )


def pairs_folded(names: Sequence[str], *, case: bool, form: bool) -> list[tuple[str, str]]:
    """Pairs of paths that become equal if `case` and Unicode normal `form` are ignored, in folder names as well.

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
    """The names and their folders: `a/x` and `A/y` differ as names, but would share one folder."""
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
