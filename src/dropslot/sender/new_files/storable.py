"""Names that the other side cannot store, found before anything is sent."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from dropslot.core.file_names.unfinished import is_unfinished
from dropslot.core.names import fault_of_name
from dropslot.core.patterns import composed
from dropslot.sender.local_paths import shown_path
from dropslot.sender.plan import LeftFile, NewFile

_CHARACTERS = re.compile(r'[<>:"|?*\\]')
_DEVICE = re.compile(r"(?i:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)[ ]*(?:\..*)?", re.DOTALL)
_RENAME = "Give it another name, then send again"
_ANY = "Give it another name, or set `names: any` in the preset if no Windows computer will read it"


def fault_on_windows(name: str) -> str | None:
    """Why Windows cannot store this one part of a path; None: it can."""
    if found := _CHARACTERS.search(name):
        return f"Windows allows no {found[0]} in names"
    if name.endswith((" ", ".")):
        return "Windows allows no name that ends in a blank or period"
    return "Windows keeps this name for a device" if _DEVICE.fullmatch(name) else None


def unstorable(files: Sequence[NewFile], *, portable: bool) -> Iterator[LeftFile]:
    """The files whose path cannot be stored as it is, each once."""
    parts: dict[str, tuple[str, str] | None] = {}
    for file in files:
        for part in file.path.split("/"):
            if part not in parts:
                parts[part] = _fault(part, portable=portable)
            if fault := parts[part]:
                yield LeftFile(file.source, file.path, fault[0], f"{shown_path(file.source)}: {fault[1]}")
                break


def _fault(name: str, *, portable: bool) -> tuple[str, str] | None:
    if fault := fault_of_name(name):
        return "name", f"{fault}. {_RENAME}"
    if portable and (fault := fault_on_windows(name)):
        return "name", f"{fault}. {_ANY}"
    if is_unfinished(name):
        return "growing", "its name says that another program is still writing it. It is left for next time"
    return None


def twins(files: Iterable[NewFile]) -> Iterator[LeftFile]:
    """Files that would get the same path: chosen twice, or with names that differ only in the form of their accents."""
    forms: dict[str, list[NewFile]] = defaultdict(list)
    for file in files:
        forms[file.path if file.path.isascii() else composed(file.path)].append(file)
    for same in forms.values():
        for file in same if len(same) > 1 else ():
            other = next(each for each in same if each is not file)
            why = (
                f"{shown_path(other.source)} would get the same path"
                if other.path == file.path
                else "another file beside it has the same name, its accents written in another way (NFC, NFD)"
            )
            yield LeftFile(file.source, file.path, "name", f"{shown_path(file.source)}: {why}. {_RENAME}")
