"""What one association sends: its instances, in a hidden folder of the inbox until their study is known.

    .dropslot-dicom-a-RANDOM/about.json          who sends
    .dropslot-dicom-a-RANDOM/00000001-UID.dcm    an instance that was acknowledged, or is about to be; what a C-MOVE
                                                 sends has the key of that after the number
    .dropslot-dicom-a-RANDOM/00000002.part       one that is being received

The folder is locked while its association is open. One without a lock was left by a process that ended.
"""

from __future__ import annotations

import errno
import json
import os
import re
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import structlog

from dropslot.core.names import RECEIVING, escape
from dropslot.files.descriptors import Folder, make_locked
from dropslot.files.syscalls import start_writeback, write_all

if TYPE_CHECKING:
    from pathlib import Path

log = structlog.get_logger()
PREFIX = f"{RECEIVING}a-"
ABOUT, INSTANCE, PART = "about.json", ".dcm", ".part"
_DIGITS = 8
UID = re.compile(r"[0-9.]{1,64}", re.ASCII)
SUCCESS, OUT_OF_RESOURCES, PROCESSING_FAILURE, INVALID_INSTANCE = 0x0000, 0xA700, 0x0110, 0x0117
NOT_UNDERSTOOD, NOT_NEGOTIATED = 0xC000, 0x0122
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_RESERVE_BYTES = 64 << 10
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE, errno.ENOMEM}


class Peer(NamedTuple):
    """Who asks: the AE title that it says, and the address that it comes from."""

    aet: str
    host: str


def move_of(name: str) -> str:
    """The key of the C-MOVE that sent the instance of this name; empty: it was sent for no C-MOVE that is known."""
    return name.partition("-")[0][_DIGITS:]


class Kind(NamedTuple):
    """What a C-STORE request and its presentation context say of a data set; `move` as in `Command`."""

    sop_class: str
    sop_uid: str
    transfer_syntax: str
    move: str = ""


class Reception:
    """One association's folder. Its instances may be written by one thread at a time."""

    def __init__(self, inbox: Path, peer: Peer) -> None:
        self.peer = peer
        self.inbox = inbox
        self.name = ""
        self.stored = self.failed = 0
        self._folder: Folder | None = None
        self._count = 0
        self._lock = threading.Lock()

    def begin(self, kind: Kind) -> Instance:
        """The next instance; what hinders it is part of the answer, and not raised."""
        instance = Instance(self, kind)
        with self._lock:
            self._count += 1
            try:
                if not kind.transfer_syntax:
                    instance.status = NOT_NEGOTIATED
                elif not UID.fullmatch(kind.sop_uid) or not UID.fullmatch(kind.sop_class):
                    instance.status = INVALID_INSTANCE
                else:
                    instance.open(
                        self._made().fd, f"{self._count:0{_DIGITS}}{kind.move}", _head(kind, self.peer.aet)
                    )
            except OSError as error:
                instance.give_up(error)
        return instance

    def begin_file(self) -> Instance:
        """The next instance, which comes as a whole file. What it is, is set before it is stored."""
        instance = Instance(self, Kind("", "", ""))
        with self._lock:
            self._count += 1
            try:
                instance.open(self._made().fd, f"{self._count:0{_DIGITS}}")
            except OSError as error:
                instance.give_up(error)
        return instance

    def close(self) -> None:
        """The association has ended: others may have the folder."""
        if self._folder is not None:
            self._folder.close()
            self._folder = None

    def _made(self) -> Folder:
        if self._folder is None:
            with Folder.trusted(str(self.inbox)) as box:
                self.name, folder = make_locked(box, PREFIX)
                try:
                    _write_about(folder, self.peer)
                    os.fsync(box.fd)
                except BaseException:
                    folder.close()
                    raise
            self._folder = folder
        return self._folder


class Instance:
    """One data set on its way to the disk (a `relay.Sink`). `status` is the answer to the sender."""

    def __init__(self, reception: Reception, kind: Kind) -> None:
        self.kind = kind
        self.status = SUCCESS
        self._reception = reception
        self._folder = self._file = -1
        self._name = ""
        self._started = 0  # of the writing to the disk
        self._size = 0

    @property
    def name(self) -> str:
        """The file's name while it is being received."""
        return self._name + PART

    def open(self, folder: int, name: str, head: bytes = b"") -> None:
        """Begin the file. Raises OSError."""
        self._folder, self._name = folder, name
        self._file = os.open(name + PART, _NEW, 0o600, dir_fd=folder)
        self.write(memoryview(head))

    def write(self, part: memoryview) -> None:
        if self._file < 0:
            return
        try:
            write_all(self._file, part)
            self._size += len(part)
            # The disk writes while the rest is being received.
            start_writeback(self._file, self._started, self._size - self._started)
            self._started = self._size
        except OSError as error:
            self.give_up(error)

    def finish(self) -> int:
        return self.store()

    def discard(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            with suppress(OSError):
                os.unlink(self._name + PART, dir_fd=self._folder)

    def store(self) -> int:
        """Make it durable under its final name, and return the status for the sender: success only if that is done."""
        if self._file >= 0:
            try:
                os.fdatasync(self._file)
                _require_reserve(self._file)
                final = f"{self._name}-{self.kind.sop_uid}{INSTANCE}"
                os.rename(self._name + PART, final, src_dir_fd=self._folder, dst_dir_fd=self._folder)
                os.fsync(self._folder)
                os.close(self._file)
                self._file = -1
            except OSError as error:
                self.give_up(error)
        stored = self.status == SUCCESS
        self._reception.stored += stored
        self._reception.failed += not stored
        return self.status

    def give_up(self, error: OSError) -> None:
        """It cannot be kept: the sender will be told."""
        self.status = OUT_OF_RESOURCES if error.errno in _NO_ROOM else PROCESSING_FAILURE
        log.error(
            f"An instance from {escape(self._reception.peer.aet)} could not be written: {error.strerror}. It was told"
            " that this failed; it keeps the instance. Free space, or mend the disk; then let it send again",
            action="instance_not_written",
            error=error.strerror,
        )
        self.discard()


def _require_reserve(descriptor: int) -> None:
    """Raise OSError if what was received could not become an arrival, which needs room for notes and folders."""
    found = os.fstatvfs(descriptor)
    if found.f_blocks and found.f_bavail * found.f_frsize < _RESERVE_BYTES:  # some systems say nothing
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _head(kind: Kind, aet: str) -> bytes:
    """Preamble and file meta information of a Part 10 file."""
    from pydicom.uid import UID as Uid
    from pynetdicom.dsutils import create_file_meta, encode_file_meta

    meta = create_file_meta(
        sop_class_uid=Uid(kind.sop_class),
        sop_instance_uid=Uid(kind.sop_uid),
        transfer_syntax=Uid(kind.transfer_syntax),
    )
    meta.SourceApplicationEntityTitle = aet
    return b"\0" * 128 + b"DICM" + encode_file_meta(meta)


def _write_about(folder: Folder, peer: Peer) -> None:
    descriptor = os.open(ABOUT, _NEW, 0o600, dir_fd=folder.fd)
    try:
        write_all(descriptor, memoryview(json.dumps(peer._asdict()).encode()))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.fsync(folder.fd)
