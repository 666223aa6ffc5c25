"""Names: how they are shown, which are safe, and how a version gets its own."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

LIMIT_BYTES = 255
RESERVED = ".dropslot"
UPLOADING = ".dropslot-upload-"  # begins the name of what the portal is receiving into an inbox
RECEIVING = (
    ".dropslot-dicom-"  # begins the names of what is received from scanners and archives into an inbox
)

# Embeddings, overrides and isolates turn text around on a terminal or page (Trojan Source, CVE-2021-42574).
_BIDI = "\u202a-\u202e\u2066-\u2069"
# Marks only give the reading direction of the characters beside them; Windows and chat programs put them into names.
_MARKS = re.compile("[\u061c\u200e\u200f]")
_UNSAFE = re.compile(
    f"(?P<control>[\x00-\x1f\x7f-\x9f])|(?P<line>[\u2028\u2029])|(?P<bidi>[{_BIDI}])|(?P<byte>[\ud800-\udfff])"
)
_INVISIBLE = {"Cf", "Zs"}  # formats, and blanks of other kinds
_WHY = {
    "control": "the name contains a control character",
    "line": "the name contains a line or paragraph separator",
    "bidi": "the name contains a character that reverses the direction of text",
    "byte": "the name is not valid UTF-8",
}
_COMPOUND = re.compile(r"(?i)(?:\.nii\.gz|\.tar\.[^.]+)\Z")
_EXTENSION = re.compile(r"\.[^\W\d_][^.]*\Z")


def escape(name: str) -> str:
    """The name as people, logs and terminals may see it; never raises.

    Printable text stays. Bytes that are no UTF-8 and ASCII controls become `\\xNN`, other unprintable characters
    `\\uNNNN` or `\\UNNNNNNNN`, and a backslash `\\x5c`, so that two different names never look the same.
    """
    if name.isprintable() and "\\" not in name:
        return name
    return "".join(c if c.isprintable() and c != "\\" else _escaped(ord(c)) for c in name)


def _escaped(point: int) -> str:
    if 0xDC80 <= point <= 0xDCFF:  # os.fsdecode's surrogate for one raw byte
        return f"\\x{point - 0xDC00:02x}"
    if point < 0x80:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"


def fault_of_name(name: str, *, marks: bool = False) -> str | None:
    """Why this one part of a path may not be delivered, as a sentence without its full stop; None: it may.
    `marks`: direction marks may be in it."""
    if name.isascii() and name.isprintable() and 2 < len(name) <= LIMIT_BYTES and "/" not in name:
        return _reserved(name) if name[0] == "." else None
    if name in ("", ".", ".."):
        return "the name is empty" if not name else f"the name is '{name}', which has a special meaning"
    if "/" in name:
        return "the name contains a slash"
    if found := _UNSAFE.search(name):
        kind = str(found.lastgroup)
        # Windows puts an embedding before a path that is copied from a properties window.
        remedy = ": type the name again on the keyboard" if kind == "bidi" else ""
        return f"{_WHY[kind]} ({_character(name, found.start())}){remedy}"
    if not marks and (fault := fault_of_marks(name)):
        return fault
    if (size := size_bytes(name)) > LIMIT_BYTES:
        return f"the name has {size} bytes; {LIMIT_BYTES} is the limit"
    return _reserved(name)


def fault_of_marks(name: str) -> str | None:
    """Which direction mark the name contains, and how to remove it; None if it contains none."""
    if (found := _MARKS.search(name)) is None:
        return None
    return (
        f"the name contains {_character(name, found.start())}, which is invisible. Windows and chat programs add such"
        " marks when a name is copied: type the name again on the keyboard, or set `names: keep` for the route, which"
        " takes them"
    )


def invisible(name: str) -> str:
    """`, which contains U+200B ZERO WIDTH SPACE at position 5`, for a sentence about a name that looks right and does
    not match; empty when all of it can be seen."""
    told = " and ".join(_character(name, place) for place in _invisible(name))
    return f", which contains {told}," if told else ""


def _invisible(name: str) -> Iterator[int]:
    if not name.isascii():
        for place, letter in enumerate(name):
            if letter != " " and unicodedata.category(letter) in _INVISIBLE:
                yield place


def _character(name: str, place: int) -> str:
    """`U+200E LEFT-TO-RIGHT MARK at position 5`, counted from 1."""
    letter = name[place]
    if "\udc80" <= letter <= "\udcff":
        return f"{_escaped(ord(letter))} at position {place + 1}"
    title = unicodedata.name(letter, "")
    return f"U+{ord(letter):04X}{title and ' '}{title} at position {place + 1}"


def _reserved(name: str) -> str | None:
    # Any case: a destination that folds case would open our own folder under it.
    return f"the name {RESERVED} is reserved for dropslot itself" if name.casefold() == RESERVED else None


def size_bytes(name: str) -> int:
    """Length of the name on disk."""
    return len(name) if name.isascii() else len(name.encode("utf-8", "surrogatepass"))


def versioned(name: str, version: int, limit: int = LIMIT_BYTES) -> str:
    """The name that version `version` of a file gets; version 1 is the name itself.

    `scan.nii.gz` becomes `scan.v2.nii.gz`: the suffix stands before `.nii.gz` or `.tar.*`, else before a last dot part
    that starts with a letter, else at the end. The stem is cut on a character border so that the whole has at most
    `limit` bytes. For one name, no two versions get the same result.
    """
    if version == 1:
        return name
    return inserted(name, f".v{version}", limit)


def inserted(name: str, mark: str, limit: int = LIMIT_BYTES) -> str:
    """`name` with `mark` before its extension, in at most `limit` bytes, and never equal to `name`."""
    stem, extension = _split(name)
    if size_bytes(mark + extension) >= limit:  # an extension that leaves no room is no extension
        stem, extension = name, ""
    stem = cut(stem, limit - size_bytes(mark + extension))
    while (result := stem + mark + extension) == name:
        stem = stem[:-1]
    return result


def appended(name: str, suffix: str, limit: int = LIMIT_BYTES) -> str:
    """`name` with `suffix` at its end; the name is cut so that the whole has at most `limit` bytes."""
    return cut(name, limit - size_bytes(suffix)) + suffix


def cut(name: str, limit: int) -> str:
    """The longest beginning of `name` with at most `limit` bytes that ends on a character border."""
    while size_bytes(name) > limit:
        name = name[: -max(1, (size_bytes(name) - limit) // 4)]
    return name


def _split(name: str) -> tuple[str, str]:
    for pattern in (_COMPOUND, _EXTENSION):
        found = pattern.search(name)
        if found and found.start() > 0:
            return name[: found.start()], found[0]
    return name, ""
