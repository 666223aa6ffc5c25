"""Reads lines of a bag's manifests and tag files (RFC 8493) strictly: a malformed line is a fault, never skipped."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from dropslot.core.names import escape, fault_of_name

# Every algorithm that Python has on all machines and whose digest has a fixed length.
HEX_DIGITS = {
    name: 2 * size
    for name in sorted(hashlib.algorithms_guaranteed)
    if (size := hashlib.new(name, usedforsecurity=False).digest_size)
}
# A path is at most 4,096 bytes on Linux, each perhaps written as %NN, after a digest of 128 digits.
_LONGEST_LINE = 16_384
_ENTRY = re.compile(r"(?P<digest>[0-9A-Fa-f]+)[ \t]+(?P<path>[^ \t].*)", re.DOTALL)
_FETCH = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+[ \t]+(?:-|[0-9]+)[ \t]+(?P<path>[^ \t].*)", re.DOTALL)
_IN_PLACE = re.compile(r"\A(?:\./+)+|(?<=/)(?:\.?/)+")
_ENCODED = re.compile(r"%0[AaDd]|%25")
_ENCODED_BEFORE_1_0 = re.compile(r"%0[AaDd]")
_DECODED = {"%0A": "\n", "%0D": "\r", "%25": "%"}
_SEPARATORS = re.compile(r"[^a-z0-9]")
_BY_NAME = {_SEPARATORS.sub("", name): name for name in HEX_DIGITS}
_BY_NAME |= {"blake2b512": "blake2b", "blake2s256": "blake2s"}


class Malformed(ValueError):
    """A line or the whole file does not follow the format."""


class Entry(NamedTuple):
    """One line of a manifest: the path as it is in the bag, the digest as lower-case hex."""

    path: str
    digest: str


def algorithm_of(name: str) -> str | None:
    """hashlib's name of the algorithm in a manifest's name, such as `SHA-256` or `sha3256`; None if unknown."""
    return _BY_NAME.get(_SEPARATORS.sub("", name.lower()))


def entries(
    file: BinaryIO, algorithm: str, encoding: str, version: tuple[int, int]
) -> Iterator[Entry | Malformed]:
    """The entries of a manifest. For a bad line it yields a Malformed instead, and never raises it."""
    for each in _parsed(file, encoding):
        try:
            yield each if isinstance(each, Malformed) else _entry(*each, algorithm, version)
        except Malformed as fault:
            yield fault


def fetched(file: BinaryIO, encoding: str, version: tuple[int, int]) -> Iterator[str | Malformed]:
    """The paths in fetch.txt. For a bad line it yields a Malformed instead, and never raises it."""
    for each in _parsed(file, encoding):
        try:
            yield each if isinstance(each, Malformed) else _path_to_fetch(*each, version)
        except Malformed as fault:
            yield fault


def _parsed(file: BinaryIO, encoding: str) -> Iterator[tuple[int, str] | Malformed]:
    """The lines that are not empty, with their numbers."""
    number = 0
    try:
        for number, line in enumerate(lines(file, encoding), 1):
            if line:
                yield number, line
    except Malformed as fault:
        yield Malformed(f"after line {number}: {fault}; the rest was not read")


def lines(file: BinaryIO, encoding: str) -> Iterator[str]:
    """The lines of a text file without their ends (LF, CR or CRLF); closes the file. Raises Malformed."""
    text = io.TextIOWrapper(file, encoding=encoding, errors="strict", newline=None)
    try:
        while line := text.readline(_LONGEST_LINE):
            if len(line) >= _LONGEST_LINE:
                raise Malformed(f"a line has more than {_LONGEST_LINE} characters")
            yield line.removesuffix("\n")
    except UnicodeError as error:
        raise Malformed(f"it is not text in {encoding.removesuffix('-sig')}") from error
    finally:
        text.close()


def _entry(number: int, line: str, algorithm: str, version: tuple[int, int]) -> Entry:
    match = _ENTRY.fullmatch(line)
    if match is None:
        raise Malformed(f"line {number}: expected a digest, blanks and a path")
    digest = match["digest"]
    if (digits := HEX_DIGITS[algorithm]) != len(digest):
        raise Malformed(f"line {number}: a digest of {algorithm} has {digits} hex digits, not {len(digest)}")
    # md5sum's mark of a file read in binary mode.
    return Entry(_path(number, match["path"].removeprefix("*"), version), digest.lower())


def _path_to_fetch(number: int, line: str, version: tuple[int, int]) -> str:
    match = _FETCH.fullmatch(line)
    if match is None:
        raise Malformed(f"line {number}: expected a URL, a length or -, and a path")
    return _path(number, match["path"], version)


def _path(number: int, written: str, version: tuple[int, int]) -> str:
    # RFC 8493 encodes line ends and the percent sign, earlier drafts only line ends; nothing else is decoded.
    encoded = _ENCODED if version >= (1, 0) else _ENCODED_BEFORE_1_0
    path = encoded.sub(lambda match: _DECODED[match[0].upper()], written)
    # As `find . | xargs sha256sum` writes it, and `find data/` on macOS.
    path = _IN_PLACE.sub("", path)
    if fault := fault_of_path(path):
        raise Malformed(f"line {number}: {escape(written)}: {fault}")
    return path


def fault_of_path(path: str) -> str | None:
    """The reason why a path in a manifest cannot be inside the bag; None if it can."""
    if path.startswith("/"):
        return "the path is absolute"
    if path.startswith("~"):
        return "the path begins with ~, which some programs take for a home folder"
    if "\\" in path:
        return "the path contains a backslash, which some programs take for a folder's end"
    if re.match(r"[A-Za-z]:", path):
        return "the path begins with a drive letter"
    for part in path.split("/"):
        if fault := fault_of_name(part, marks=True):  # direction marks are checked on the items themselves
            return fault
    return None
