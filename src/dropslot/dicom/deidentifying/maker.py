"""De-identifies the items of an arrival before they are delivered. Another process reads and writes the files, without
rights: see `engine.confined`."""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO, NamedTuple

from dropslot.contents.base import ListedItem
from dropslot.contents.makers import Maker, MakingFailed
from dropslot.core.errors import DropslotError, Refused
from dropslot.core.names import escape
from dropslot.dicom.deidentifying import mapping
from dropslot.dicom.deidentifying.pseudonyms import PseudonymService
from dropslot.dicom.deidentifying.secret_key import SecretKey
from dropslot.dicom_files.deidentifier import PARSER
from dropslot.dicom_files.deidentifier.replacing import ACCESSION, PATIENT
from dropslot.parsing import process
from dropslot.parsing.given import descriptor_of

SECONDS = 120.0  # of processor time for one file
_MEMORY_BYTES = 2 << 30
_MOST_AT_ONCE = 8
_LEAST_ROOM, _MOST_ROOM = 4 << 20, 256 << 20
_LONGEST = {PATIENT: 64, ACCESSION: 16}
_MOST_REASONS = 30


class Answer(NamedTuple):
    """What the process without rights made of one file, as far as it could be proved."""

    head: int
    tail: int
    made: int
    pixels: tuple[int, int]
    path: str


class DeidentifyingMaker(Maker):
    """De-identifies files of one route. `question` is what the process is asked about each file, without its key."""

    def __init__(
        self,
        route: str,
        question: Mapping[str, Any],
        key: SecretKey,
        service: PseudonymService | None,
        arrival: str = "",
    ) -> None:
        super().__init__()
        self.at_once = min(len(os.sched_getaffinity(0)), _MOST_AT_ONCE)
        self._route, self._question, self._key, self._service = route, question, key, service
        self._arrival = arrival
        self._made: dict[tuple[str, str], str] = {}
        self._given: dict[str, dict[str, str | None]] = {}
        self._turn = threading.Lock()
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(self.at_once):
            self._free.put(number)

    def begin(self, arrival: str) -> DeidentifyingMaker:
        return DeidentifyingMaker(self._route, self._question, self._key, self._service, arrival)

    def end(self) -> None:
        mapping.record(self._key, self._route, self._arrival, self._made)

    def make(self, item: ListedItem, out: BinaryIO) -> str:
        with item.open() as sent, ExitStack() as until:
            source = descriptor_of(sent, until)
            room = min(4 * item.size_bytes + _LEAST_ROOM, _MOST_ROOM)
            memory = os.memfd_create("deidentified", os.MFD_CLOEXEC)
            until.callback(os.close, memory)
            os.truncate(memory, room)
            question = {
                **self._question,
                "key": self._key.of_route(self._route).hex(),
                "given": self._pseudonyms(source, item),
                "most_bytes": room,
            }
            answer = _proved(self._asked([source, memory], question, item), item.size_bytes, room)
            self._remember(os.pread(memory, answer.made, answer.head + answer.tail))
            _write(answer, memory, source, out)
            return answer.path

    def _pseudonyms(self, source: int, item: ListedItem) -> Mapping[str, Mapping[str, str]]:
        """What the external service gives for the originals of a file; nothing if there is no service."""
        if self._service is None:
            return {}
        said = self._asked([source], {"ask": "originals"}, item)
        given: dict[str, dict[str, str]] = {PATIENT: {}, ACCESSION: {}}
        for kind, original in _pairs(said.get("originals")):
            if pseudonym := self._pseudonym(self._service, kind, original):
                given[kind][original] = pseudonym
        return given

    def _pseudonym(self, service: PseudonymService, kind: str, original: str) -> str | None:
        with self._turn:
            known = self._given.setdefault(kind, {})
            if original not in known:
                known[original] = _fitting(kind, original, service.pseudonym(kind, original))
            return known[original]

    def _asked(
        self, descriptors: Sequence[int], question: Mapping[str, Any], item: ListedItem
    ) -> dict[str, Any]:
        with self._parser() as parser:
            try:
                answer = parser.ask(descriptors, question, SECONDS)
            except process.BreaksParser as error:
                raise Refused([f"it breaks the program that de-identifies {error}".rstrip()]) from error
            except process.NotParsed as error:
                raise _not_asked(item, str(error)) from error
        if not isinstance(answer, dict):
            raise _senseless()
        if "refused" in answer:
            raise Refused([escape(str(reason)) for reason in answer["refused"][:_MOST_REASONS]])
        return answer

    @contextmanager
    def _parser(self) -> Iterator[process.Parser]:
        number = self._free.get()
        try:
            yield process.parser(PARSER, number, _MEMORY_BYTES)
        finally:
            self._free.put(number)

    def _remember(self, told: bytes) -> None:
        try:
            made = {(str(kind), str(original)): str(new) for kind, original, new in json.loads(told)}
        except (ValueError, TypeError) as error:
            raise _senseless() from error
        with self._turn:
            self._made |= made


def _not_asked(item: ListedItem, why: str) -> DropslotError:
    return MakingFailed(
        f"{escape(item.path)} could not be de-identified: the program that does it {why}",
        where="Nothing of the arrival was delivered; it waits in processing and is retried",
        next_step="If this repeats, check whether the machine is out of memory (`dmesg`) or a disk does not answer;"
        " `dropslot doctor` tells whether parsers work here",
    )


def _senseless() -> Refused:
    return Refused(["it breaks the program that de-identifies (its answer makes no sense)"])


def _proved(answer: Mapping[str, Any], size_bytes: int, room: int) -> Answer:
    """Checks the answer of a process that a file may control."""
    match answer:
        case {
            "head": int(head),
            "tail": int(tail),
            "made": int(made),
            "pixels": [int(at), int(length)],
            "path": str(path),
        } if (
            min(head, tail, made, at, length) >= 0
            and head + tail + made <= room
            and at + length <= size_bytes
            and "/" not in path
        ):
            return Answer(head, tail, made, (at, length), path)
    raise _senseless()


def _pairs(found: object) -> list[tuple[str, str]]:
    if not isinstance(found, list):
        raise _senseless()
    pairs = [(pair[0], pair[1]) for pair in found if isinstance(pair, list) and len(pair) == 2]
    if any(kind not in _LONGEST or not isinstance(original, str) for kind, original in pairs):
        raise _senseless()
    return pairs


def _fitting(kind: str, original: str, pseudonym: object) -> str | None:
    """The pseudonym, if it fits into its element and is not the original."""
    if pseudonym is None:
        return None
    if not isinstance(pseudonym, str):
        raise TypeError(f"a pseudonym service must return text; it returned a {type(pseudonym).__name__}")
    if not pseudonym.strip() or not pseudonym.isascii() or len(pseudonym) > _LONGEST[kind]:
        raise ValueError(f"a pseudonym for {kind} must have 1 to {_LONGEST[kind]} characters of ASCII")
    if pseudonym.strip().casefold() == original.partition("^")[0].strip().casefold():
        raise ValueError(f"a pseudonym for {kind} must not be the original itself")
    if set(pseudonym) & set("\\^=") or not pseudonym.isprintable():
        raise ValueError("a pseudonym must not have \\, ^, = or control characters")
    return pseudonym


def _write(answer: Answer, memory: int, source: int, out: BinaryIO) -> None:
    out.write(os.pread(memory, answer.head, 0))
    out.flush()
    at, left = answer.pixels
    while left:
        copied = os.sendfile(out.fileno(), source, at, left)
        if not copied:
            raise OSError("the private copy of an item became shorter")
        at, left = at + copied, left - copied
    # sendfile moved the descriptor's own position; the buffer follows.
    out.seek(0, os.SEEK_END)
    out.write(os.pread(memory, answer.tail, answer.head))
