"""Manifests in the format of sha256sum (GNU coreutils 9), so that `sha256sum -c` checks them anywhere."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator

_LINE = re.compile(r"(\\?)([0-9a-fA-F]{64}) [ *](.+)", re.DOTALL)
_SPECIAL = re.compile(r"[\\\n\r]")
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_UNESCAPES = {"\\\\": "\\", "\\n": "\n", "\\r": "\r"}
_ESCAPED = re.compile(r"\\(?:.|\Z)", re.DOTALL)


def write(lines: Iterable[tuple[str, str]]) -> str:
    """A manifest of (sha256 in hex, path relative to the target), in the order given."""
    return "".join(_line(sha256, path) for sha256, path in lines)


def _line(sha256: str, path: str) -> str:
    if path == "-":  # sha256sum would read its standard input
        path = "./-"
    if _SPECIAL.search(path):
        return f"\\{sha256}  {_SPECIAL.sub(lambda c: _ESCAPES[c[0]], path)}\n"
    return f"{sha256}  {path}\n"


def parse(text: str) -> Iterator[tuple[str, str]]:
    """(sha256 in lower case, path) of each line.

    Raises ValueError, naming the line, on the first one that sha256sum would not have written or that was cut off.
    """
    if not text:
        return
    *lines, rest = text.split("\n")
    if rest:
        raise ValueError(f"line {len(lines) + 1} of the manifest has no end: it may be cut off")
    for number, line in enumerate(lines, 1):
        found = _LINE.fullmatch(line)
        if not found or (found[1] and not _SPECIAL.search(found[3])):
            raise ValueError(f"line {number} of the manifest is not 'SHA-256, two blanks, path'")
        path = _unescape(found[3], number) if found[1] else found[3]
        yield found[2].lower(), "-" if path == "./-" else path


def _unescape(path: str, number: int) -> str:
    def plain(found: re.Match[str]) -> str:
        if found[0] not in _UNESCAPES:
            raise ValueError(f"line {number} of the manifest has an unknown escape")
        return _UNESCAPES[found[0]]

    return _ESCAPED.sub(plain, path)


def encode(text: str) -> bytes:
    """The bytes of a manifest on disk."""
    return text.encode("utf-8", "surrogateescape")


def digest(text: str) -> str:
    """SHA-256 (hex) of a manifest's bytes."""
    return hashlib.sha256(encode(text)).hexdigest()
