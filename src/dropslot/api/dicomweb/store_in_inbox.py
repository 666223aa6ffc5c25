"""The files of a request on their way into the inbox: written as they come, durable before the answer, and found by the
receiver's process, which makes arrivals of whole studies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from dropslot.api.dicomweb.stow_response import Outcome
from dropslot.dicom.receiving.hidden_folders import is_uid, note_ended
from dropslot.dicom.receiving.receptions import (
    INVALID_INSTANCE,
    NOT_UNDERSTOOD,
    Instance,
    Kind,
    Peer,
    Reception,
)
from dropslot.dicom_files.headers import Header, NotDicom, read_headers

_BATCH = 16  # files that are open at a time


def store(inbox: Path, sender: Peer, parts: Iterable[Iterator[bytes]], study: str) -> list[Outcome]:
    """Keep each part that is DICOM, with a SOPInstanceUID and, if `study` is given, of that study. What is acknowledged
    is durable. Raises HeadersNotRead and what `multipart` raises; then what was stored before stays, as after a broken
    connection: its sender sends all again, and the same bytes count once."""
    reception, outcomes = Reception(inbox, sender), []
    waiting = iter(parts)
    try:
        while written := _some_written(reception, waiting):
            outcomes += _kept(inbox / reception.name, written, study)
    finally:
        if reception.name:
            note_ended(inbox / reception.name)
        reception.close()
    return outcomes


def _some_written(reception: Reception, waiting: Iterator[Iterator[bytes]]) -> list[Instance]:
    written: list[Instance] = []
    try:
        for part in islice(waiting, _BATCH):
            written.append(_written(reception, part))
    except BaseException:
        for one in written:
            one.discard()
        raise
    return written


def _written(reception: Reception, part: Iterator[bytes]) -> Instance:
    instance = reception.begin_file()
    try:
        for piece in part:
            instance.write(memoryview(piece))
    except BaseException:
        instance.discard()
        raise
    return instance


def _kept(folder: Path, written: list[Instance], study: str) -> list[Outcome]:
    whole = [one for one in written if not one.status]
    try:
        headers = read_headers([(one.name, _Opener(folder / one.name)) for one in whole])
        by_name = dict(zip((one.name for one in whole), headers, strict=True))
        return [_outcome(one, by_name.get(one.name), study) for one in written]
    finally:
        for one in written:
            with suppress(OSError):
                one.discard()


def _outcome(instance: Instance, header: Header | NotDicom | None, study: str) -> Outcome:
    if header is None:
        return Outcome("", "", instance.status)
    values = header.values if isinstance(header, Header) else {}
    sop_class, sop_uid = values.get("SOPClassUID", ""), values.get("SOPInstanceUID", "")
    if not is_uid(sop_class) or not is_uid(sop_uid):
        return Outcome("", "", NOT_UNDERSTOOD)
    if study and values.get("StudyInstanceUID") != study:
        return Outcome(sop_class, sop_uid, INVALID_INSTANCE)
    instance.kind = Kind(sop_class, sop_uid, values.get("TransferSyntaxUID", ""))
    return Outcome(sop_class, sop_uid, instance.store())


class _Opener:
    """Opens a file when it is its turn."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self) -> BinaryIO:
        return self._path.open("rb")
