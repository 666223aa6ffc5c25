"""From instances to studies: each is moved into its study's hidden folder, which gets its final name when it is quiet.

    .dropslot-dicom-s-HASH/about.json                  whose study it is
    .dropslot-dicom-s-HASH/data/SERIES/UID.dcm         its instances
    .dropslot-dicom-s-HASH/data/SERIES/UID.2.dcm       other bytes under the same UID: the import decides

A C-STORE request does not say which study an instance belongs to. Its header does, which the process without rights
reads. So several associations may send one study, and one association several. Everything here is found on the disk
again after a crash, and done once more.
"""

from __future__ import annotations

import filecmp
import hashlib
import itertools
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

import structlog

from dropslot.arrivals.intake.claim import move, move_to_own
from dropslot.arrivals.models import Upload
from dropslot.core.names import RECEIVING, escape
from dropslot.dicom.receiving.receptions import ABOUT, INSTANCE, UID
from dropslot.dicom_files.headers import Header, NotDicom, read_headers
from dropslot.files.descriptors import Folder, remove_folder

if TYPE_CHECKING:
    from pathlib import Path

log = structlog.get_logger()
PREFIX = f"{RECEIVING}s-"
_DATA = "data"
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
        """Finds those that an earlier process has left. Raises OSError."""
        self._inbox = inbox
        self._quiet_seconds = quiet_seconds
        self._studies: dict[Path, Study] = {}
        for name in os.listdir(inbox):
            if name.startswith(PREFIX) and (about := read_about(inbox / name)):
                study = Study(about["aet"], about["name"], inbox / name, time.monotonic())
                self._studies[study.folder] = study

    def sort(self, reception: str, aet: str) -> int:
        """Move the instances of a reception to their studies; returns how many. Raises HeadersNotRead and OSError:
        what is left is moved later."""
        folder, moved = self._inbox / reception, 0
        while names := sorted(name for name in os.listdir(folder) if name.endswith(INSTANCE))[:_BATCH]:
            headers = read_headers([(name, partial(_opened, folder / name)) for name in names])
            for name, header in zip(names, headers, strict=True):
                self._place(folder / name, header, aet)
            moved += len(names)
        return moved

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
        study = self._study(aet, values.get("StudyInstanceUID", ""), path.parent.name)
        series = values.get("SeriesInstanceUID", "")
        target = study.folder / _DATA / (series if is_uid(series) else _NO_SERIES)
        target.mkdir(mode=0o700, exist_ok=True)
        sop_uid = path.name.partition("-")[2].removesuffix(INSTANCE)
        put(path, target, sop_uid)
        study.last = time.monotonic()
        study.receptions.add(path.parent.name)

    def _study(self, aet: str, study_uid: str, reception: str) -> Study:
        """What has no study of its own belongs to its association."""
        safe_aet = _NOT_IN_NAMES.sub("_", aet)
        name = study_uid if is_uid(study_uid) else f"no-study-{safe_aet}-{reception.rpartition('-')[2]}"
        key = hashlib.sha256(json.dumps([aet, name]).encode()).hexdigest()[:32]
        folder = self._inbox / f"{PREFIX}{key}"
        if folder not in self._studies:
            self._make(folder, aet, name)
            self._studies[folder] = Study(aet, name, folder, time.monotonic())
        return self._studies[folder]

    def _make(self, folder: Path, aet: str, name: str) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        _write_about(folder, {"aet": aet, "name": name})
        (folder / _DATA).mkdir(mode=0o700, exist_ok=True)

    def _publish(self, study: Study) -> str:
        """One rename that cannot replace makes it an arrival; the row of its sender comes first. Returns its name;
        empty if a crash came after the rename."""
        data, name = study.folder / _DATA, ""
        if data.is_dir():
            _sync_folders(data)
            name = self._renamed(study, data)
        with Folder.trusted(str(self._inbox)) as box:
            os.fsync(box.fd)
            remove_folder(box.fd, study.folder.name)
        return name

    def _renamed(self, study: Study, data: Path) -> str:
        inode = os.lstat(data).st_ino
        for name in _names(study.name):
            if os.path.lexists(self._inbox / name):
                continue
            row: dict[str, Any] = {"inbox": str(self._inbox), "name": escape(name), "inode": inode}
            Upload.objects.update_or_create(**row, defaults={"sender": study.aet})
            try:
                move(data, self._inbox / name)
            except FileExistsError:
                Upload.objects.filter(**row).delete()
                continue
            return name
        raise AssertionError("names do not end")


def _opened(path: Path) -> BinaryIO:
    return path.open("rb")


def is_uid(text: str) -> bool:
    """Whether a text of a header can be a UID, and so be part of a path."""
    return UID.fullmatch(text) is not None and text.strip(".") != ""


def put(path: Path, folder: Path, sop_uid: str) -> None:
    """Move a file into a folder under its UID. The same bytes are kept once; other bytes get a name of their own."""
    for name in (f"{sop_uid}{suffix}{INSTANCE}" for suffix in _suffixes(".")):
        try:
            move_to_own(path, folder / name)
        except FileExistsError:
            if filecmp.cmp(path, folder / name, shallow=False):
                path.unlink()
                return
        else:
            return


def note_sorted(reception: Path, count: int) -> None:
    """How many instances of a reception were moved to their studies: for its event, if this process ends before."""
    about = read_about(reception)
    if about is not None:
        _write_about(reception, about | {"sorted": count})


def _write_about(folder: Path, about: dict[str, Any]) -> None:
    new = folder / f"{ABOUT}.new"
    new.write_text(json.dumps(about), encoding="utf-8")
    new.rename(folder / ABOUT)


def read_about(folder: Path) -> dict[str, Any] | None:
    """What was noted of a hidden folder; None: a crash came before that."""
    try:
        about = json.loads((folder / ABOUT).read_bytes())
    except (OSError, ValueError):
        return None
    return about if isinstance(about, dict) else None


def _suffixes(mark: str) -> Iterator[str]:
    return itertools.chain([""], (f"{mark}{number}" for number in itertools.count(2)))


def _names(name: str) -> Iterator[str]:
    return (f"{name}{suffix}" for suffix in _suffixes("_"))


def _sync_folders(data: Path) -> None:
    """Make the names of instances durable; their bytes have been since they were acknowledged."""
    with Folder.trusted(str(data)) as folder:
        for series in os.listdir(folder.fd):
            with folder.beneath(series) as inner:
                os.fsync(inner.fd)
        os.fsync(folder.fd)
