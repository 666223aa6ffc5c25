"""Folders that are not found because their name is written in another form of Unicode, which nobody can see."""

from __future__ import annotations

from collections.abc import Iterable

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
