"""What the headers of DICOM files say, and whether the files are whole. Another process reads them, without rights:
see `header_parser`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, BinaryIO, NamedTuple

from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.dicom_files.keywords import KEYWORDS as KEYWORDS
from dropslot.dicom_files.uids import MEDIA_DIRECTORY
from dropslot.parsing import process
from dropslot.parsing.given import descriptor_of

PARSER = "dropslot.dicom_files.header_parser"
# Of processor time for one batch.
SECONDS = 30.0
_BATCH = 16
_AT_ONCE = 16 * _BATCH

Item = tuple[str, Callable[[], BinaryIO]]


class Header(NamedTuple):
    """The values of KEYWORDS that a file has, as text: several values joined by a backslash, at most 400 characters,
    a NUL or lone surrogate replaced by U+FFFD. `faults`: a sentence for each reason why the file is not whole, or not
    right; empty: it parses to its end, and its pixel data has the length that its header demands."""

    values: Mapping[str, str]
    faults: tuple[str, ...]
    read_bytes: int  # of the file's beginning, in which the values are; and their SHA-256
    read_sha256: str

    @property
    def is_media_directory(self) -> bool:
        """A DICOMDIR: it lists other files, and belongs to no series."""
        return self.values.get("SOPClassUID", self.values.get("MediaStorageSOPClassUID")) == MEDIA_DIRECTORY


class NotDicom(NamedTuple):
    """Why the file is not taken for DICOM. Follows `it is not DICOM: …`."""

    reason: str


class HeadersNotRead(DropslotError):
    """There was no answer, and that says nothing about the files."""

    code = "headers-not-read"
    retryable = True


def read_headers(items: Sequence[Item]) -> list[Header | NotDicom]:
    """The header of each file, in order. A file that crashes or stalls the parser is NotDicom. Raises HeadersNotRead,
    which is retryable."""
    found: list[Header | NotDicom] = []
    for first in range(0, len(items), _AT_ONCE):
        found += _read_some(items[first : first + _AT_ONCE])
    return found


def _read_some(items: Sequence[Item]) -> list[Header | NotDicom]:
    try:
        answers = _proved(_asked(items), len(items))
    except process.BreaksParser:
        return [_read_one(item) for item in items]  # which of them?
    return [
        _read_one(item) if answer is None else answer for item, answer in zip(items, answers, strict=True)
    ]


def _read_one(item: Item) -> Header | NotDicom:
    try:
        (answer,) = _proved(_asked([item]), 1)
    except process.BreaksParser as error:
        return NotDicom(f"it breaks the program that reads headers {error}".rstrip())
    return answer or NotDicom("its header does not fit into an answer")


def _asked(items: Sequence[Item]) -> list[Any]:
    try:
        return process.parser(PARSER).ask_each(_batches(items), None, SECONDS)
    except process.NotParsed as error:
        raise HeadersNotRead(
            f"The headers of {escape(items[0][0])} and {len(items) - 1} more could not be read: the program that reads"
            f" them {error}",
            where="Nothing of the arrival was delivered; it waits in processing and is retried",
            next_step="If this repeats, check whether the machine is out of memory (`dmesg`) or a disk does not answer;"
            " `dropslot doctor` tells whether parsers work here",
        ) from error


def _batches(items: Sequence[Item]) -> Iterator[list[int]]:
    for first in range(0, len(items), _BATCH):
        with ExitStack() as stack:
            files = [stack.enter_context(opened()) for _, opened in items[first : first + _BATCH]]
            yield [descriptor_of(file, stack) for file in files]


def _proved(answers: list[Any], count: int) -> list[Header | NotDicom | None]:
    """Checks the answer of a process that a file may control."""
    found = [each for answer in answers if isinstance(answer, list) for each in answer]
    if len(found) != count:
        raise process.BreaksParser("(its answer makes no sense)")
    return [None if each is None else _read(each) for each in found]


def _read(answer: Any) -> Header | NotDicom:
    match answer:
        case [str(reason)]:
            return NotDicom(escape(reason))
        case [[*values], [*faults], int(count), str(digest)] if len(values) == len(KEYWORDS) and _are_texts(
            [*values, *faults, digest]
        ):
            told = {keyword: value for keyword, value in zip(KEYWORDS, values, strict=True) if value}
            return Header(told, tuple(map(escape, faults)), count, digest)
    raise process.BreaksParser("(its answer makes no sense)")


def _are_texts(found: Sequence[Any]) -> bool:
    if not all(isinstance(each, str) for each in found):
        return False
    joined = "".join(found)
    return joined.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in joined)
