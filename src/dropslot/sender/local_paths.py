"""Paths of this PC: as the system takes them, and as people may see them."""

from __future__ import annotations

import os
import sys

from dropslot.core.names import escape

# MAX_PATH of Windows is 260; a folder keeps room for a name of 8 and 3 characters in it.
_LONGEST = 247
_AS_IT_IS = "\\\\?\\"
_AS_IT_IS_SHARE = "\\\\?\\UNC\\"
_DEVICE = "\\\\.\\"


def reachable(path: str, system: str = sys.platform) -> str:
    """A whole path as every call of the system takes it: Windows needs a mark before a long one. The same path always
    has the same spelling, so that the ledger knows it again."""
    if system != "win32" or len(path) <= _LONGEST or path.startswith((_AS_IT_IS, _DEVICE)):
        return path
    return f"{_AS_IT_IS_SHARE}{path[2:]}" if path.startswith("\\\\") else f"{_AS_IT_IS}{path}"


def inode(path: str) -> str:
    """The number by which a file system knows a file, whatever its name; empty if there is no file. As text: those of
    Windows are larger than SQLite's numbers."""
    try:
        return str(os.stat(path).st_ino or "")
    except OSError:
        return ""


def shown_path(path: str | os.PathLike[str], system: str = sys.platform) -> str:
    """A path for people, escaped. A backslash stays where it separates folders, on Windows."""
    text = os.fspath(path)
    if system != "win32":
        return escape(text)
    if text.startswith(_AS_IT_IS_SHARE):
        text = f"\\\\{text.removeprefix(_AS_IT_IS_SHARE)}"
    return "\\".join(map(escape, text.removeprefix(_AS_IT_IS).split("\\")))
