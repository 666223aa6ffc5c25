"""Lines of a bag's manifests and tag files (RFC 8493), read strictly: what is malformed is a fault, never skipped."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from dropslot.core.names import escape, fault_of_name

HEX_DIGITS = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}
# A path is at most 4,096 bytes on Linux, each perhaps written as %NN, after a digest of 128 digits.
_LONGEST_LINE = 16_384
_ENTRY = re.compile(r"(?P<digest>[0-9A-Fa-f]+)[ \t]+(?P<path>[^ \t].*)", re.DOTALL)
_ENCODED = re.compile(r"%0[AaDd]|%25")
_ENCODED_BEFORE_1_0 = re.compile(r"%0[AaDd]")
_DECODED = {"%0A": "\n", "%0D": "\r", "%25": "%"}


class Malformed(ValueError):
    """A line, or the whole file, is not what the format says."""


class Entry(NamedTuple):
    """One line of a manifest: the path as it is in the bag, the digest as lower-case hex."""

    path: str
    digest: str


def entries(
    file: BinaryIO, algorithm: str, encoding: str, version: tuple[int, int]
) -> Iterator[Entry | Malformed]:
    """The entries of a manifest, and a Malformed in the place of each line that is none. Never raises it."""
    number = 0
    try:
        for number, line in enumerate(lines(file, encoding), 1):
            if line:
                try:
                    yield _entry(line, algorithm, version)
                except Malformed as fault:
                    yield Malformed(f"line {number}: {fault}")
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
        raise Malformed(f"it is not text in {encoding}") from error
    finally:
        text.close()


def _entry(line: str, algorithm: str, version: tuple[int, int]) -> Entry:
    match = _ENTRY.fullmatch(line)
    if match is None:
        raise Malformed("expected a digest, blanks and a path")
    digest, path = match["digest"], match["path"]
    if len(digest) != HEX_DIGITS[algorithm]:
        raise Malformed(f"a digest of {algorithm} has {HEX_DIGITS[algorithm]} hex digits, not {len(digest)}")
    # md5sum's mark of a file read in binary mode.
    decoded = _decode(path.removeprefix("*"), version)
    if fault := fault_of_path(decoded):
        raise Malformed(f"{escape(path)}: {fault}")
    return Entry(decoded, digest.lower())


def _decode(path: str, version: tuple[int, int]) -> str:
    # RFC 8493 encodes line ends and the percent sign, the drafts before it only line ends; nothing else is decoded.
    encoded = _ENCODED if version >= (1, 0) else _ENCODED_BEFORE_1_0
    return encoded.sub(lambda match: _DECODED[match[0].upper()], path)


def fault_of_path(path: str) -> str | None:
    """Why a path in a manifest cannot be one inside of the bag; None when it can."""
    if path.startswith("/"):
        return "the path is absolute"
    if path.startswith("~"):
        return "the path begins with ~, which some programs take for a home folder"
    if "\\" in path:
        return "the path contains a backslash, which some programs take for a folder's end"
    if re.match(r"[A-Za-z]:", path):
        return "the path begins with a drive letter"
    for part in path.split("/"):
        if fault := fault_of_name(part):
            return fault
    return None
