"""From instances to studies: each is moved into its study's hidden folder, which gets its final name when it is quiet.

    .dropslot-dicom-s-HASH/about.json                  whose study it is
    .dropslot-dicom-s-HASH/data/SERIES/UID.dcm         its instances
    .dropslot-dicom-s-HASH/data/SERIES/UID.2.dcm       other bytes under the same UID: the import decides

A C-STORE request does not say which study an instance belongs to. Its header does, which the process without rights
reads. So several associations may send one study, and one association several. Everything here is found on the disk
again after a crash, and done once more.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

import structlog

from dropslot.core.names import RECEIVING
from dropslot.dicom.receiving.fetches import Fetch, running_fetches
from dropslot.dicom.receiving.hidden_folders import DATA, is_uid, noted, put, read_about, write_about
from dropslot.dicom.receiving.into_inbox import publish
from dropslot.dicom.receiving.receptions import INSTANCE, move_of
from dropslot.dicom_files.headers import Header, NotDicom, read_headers
from dropslot.files.descriptors import Folder, remove_folder

if TYPE_CHECKING:
    from pathlib import Path

log = structlog.get_logger()
PREFIX = f"{RECEIVING}s-"
_BATCH = 256
_NO_SERIES = "no-series"
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(slots=True)
class Study:
    """One study of one sender, as far as it has come."""

    aet: str
    name: str  # what its arrival is called
    folder: Path
    last: float  # when an instance came, by the monotonic clock
    receptions: set[str] = field(default_factory=set)  # that sent some of it


class Studies:
    """The unfinished studies in one inbox."""

    def __init__(self, inbox: Path, quiet_seconds: float) -> None:
        self._inbox = inbox
        self._quiet_seconds = quiet_seconds
        self._studies: dict[Path, Study] = {}
        self._fetches: list[Fetch] = []

    def adopt(self) -> None:
        """Find those that an earlier process has left, or that were away with their disk. Raises OSError."""
        for name in os.listdir(self._inbox):
            folder = self._inbox / name
            if name.startswith(PREFIX) and folder not in self._studies:
                about = read_about(folder)
                called = noted(about, "name") or f"no-study-{name.removeprefix(PREFIX)}"
                self._studies[folder] = Study(noted(about, "aet"), called, folder, time.monotonic())

    def sort(self, reception: str, aet: str) -> int:
        """Move the instances of a reception to their studies; returns how many. Raises HeadersNotRead and OSError:
        what is left is moved later. A reception that is not there any more has nothing."""
        folder, moved = self._inbox / reception, 0
        self._fetches = running_fetches(self._inbox)
        while names := self._instances(folder)[:_BATCH]:
            headers = read_headers([(name, partial(_opened, folder / name)) for name in names])
            for name, header in zip(names, headers, strict=True):
                self._place(folder / name, header, aet)
            moved += len(names)
        return moved

    def _instances(self, folder: Path) -> list[str]:
        try:
            return sorted(name for name in os.listdir(folder) if name.endswith(INSTANCE))
        except FileNotFoundError:
            os.stat(self._inbox)  # away with its inbox, it may come back
            return []

    def finish(self, open_receptions: set[str]) -> list[str]:
        """Make arrivals of the studies that are quiet and none of whose associations is open, after all was sorted.
        Returns their names. Raises OSError and DatabaseError: it is done again."""
        before = time.monotonic() - self._quiet_seconds
        made = []
        for study in list(self._studies.values()):
            study.receptions &= open_receptions
            if study.last <= before and not study.receptions:
                if name := self._publish(study):
                    made.append(name)
                del self._studies[study.folder]
        return made

    def _place(self, path: Path, header: Header | NotDicom, aet: str) -> None:
        values = header.values if isinstance(header, Header) else {}
        series = values.get("SeriesInstanceUID", "")
        for fetch in self._fetches:
            if fetch.wants(aet, values.get("StudyInstanceUID", ""), move_of(path.name)):
                put(path, fetch.folder / DATA, series if is_uid(series) else _NO_SERIES)
                return
        study = self._study(aet, values.get("StudyInstanceUID", ""), path.parent.name)
        put(path, study.folder / DATA, series if is_uid(series) else _NO_SERIES)
        study.last = time.monotonic()
        study.receptions.add(path.parent.name)

    def _study(self, aet: str, study_uid: str, reception: str) -> Study:
        """What has no study of its own belongs to its association."""
        safe_aet = _NOT_IN_NAMES.sub("_", aet)
        name = study_uid if is_uid(study_uid) else f"no-study-{safe_aet}-{reception.rpartition('-')[2]}"
        key = hashlib.sha256(json.dumps([aet, name]).encode()).hexdigest()[:32]
        folder = self._inbox / f"{PREFIX}{key}"
        if folder not in self._studies or not (folder / DATA).is_dir():  # somebody removed it
            self._make(folder, aet, name)
            self._studies[folder] = Study(aet, name, folder, time.monotonic())
        return self._studies[folder]

    def _make(self, folder: Path, aet: str, name: str) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        write_about(folder, {"aet": aet, "name": name})
        (folder / DATA).mkdir(mode=0o700, exist_ok=True)

    def _publish(self, study: Study) -> str:
        """One rename that cannot replace makes it an arrival; the row of its sender comes first. Returns its name;
        empty if a crash came after the rename."""
        data, name = study.folder / DATA, ""
        if data.is_dir():
            name = publish(self._inbox, data, study.name, study.aet)
        with Folder.trusted(str(self._inbox)) as box:
            os.fsync(box.fd)
            remove_folder(box.fd, study.folder.name)
        return name


def _opened(path: Path) -> BinaryIO:
    return path.open("rb")
