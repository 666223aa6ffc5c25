"""The folder in which one sender finds its receipts. Its sender may read it, and nobody else; only the service writes.

The signature protects a receipt wherever it lies; the folder keeps it from others, and from being taken away. Links
that a sender could make are never followed.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from dropslot.config.mistakes.remedies import in_words
from dropslot.core.errors import DestinationUnready
from dropslot.core.names import escape, fault_of_name
from dropslot.core.templates import Template, literal
from dropslot.files import acl
from dropslot.files.descriptors import Folder, look, make
from dropslot.files.syscalls import write_all

ALLOWED_SIGNERS = "allowed_signers"
ENDING = ".json"
_ASIDE = ".dropslot-"
_ABANDONED_SECONDS = 3600.0
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_GROUP, _OTHERS = 0o070, 0o007


class ReceiptsFolderUnready(DestinationUnready):
    """The folder of a sender's receipts cannot be used now; nothing else waits for it."""

    code = "receipts-folder-unready"


@dataclass(frozen=True, slots=True)
class Reader:
    """The account that may read: its name, and its number on this machine."""

    name: str
    uid: int


def file_name(name: str, arrival: str) -> str:
    """What the receipt of an arrival of this name is called; by the arrival's id if no file may have the name."""
    whole = f"{name}{ENDING}"
    return f"{arrival}{ENDING}" if fault_of_name(whole) else whole


@contextlib.contextmanager
def opened(template: str, reader: Reader) -> Iterator[Folder]:
    """The reader's folder, made if there is none. Raises ReceiptsFolderUnready and Refused."""
    path = Template(template).fill({"sender": reader.name})
    try:
        with _descended(template, path, make_last="{sender}" in template.rpartition("/")[2]) as folder:
            _require_private(folder.fd, path, reader)
            yield folder
    except OSError as error:
        raise _unready(path, error, reader) from error


def senders(template: str) -> Iterator[str]:
    """The senders that have a folder. Raises OSError."""
    fixed = Template(template).fixed
    part = Template(template[len(literal(fixed)) :].strip("/").partition("/")[0])
    for name in os.listdir(fixed):
        if found := part.match(name):
            yield found["sender"]


def existing(template: str, sender: str) -> Folder:
    """The folder of a sender as it is. Raises OSError, and Refused for a name that no folder may have."""
    return _descended(template, Template(template).fill({"sender": sender}))


def _descended(template: str, path: str, *, make_last: bool = False) -> Folder:
    """Beneath the fixed part, which is the operator's, no link is followed."""
    fixed = Template(template).fixed
    folder = Folder.trusted(fixed)
    *above, last = path[len(fixed) :].strip("/").split("/")
    for name in above:
        folder = folder.beneath(name)
    if make_last:
        make(folder.fd, last, 0o700)
    return folder.beneath(last)


def _require_private(descriptor: int, path: str, reader: Reader) -> None:
    """A folder of the service's own is opened for the reader; what an administrator has arranged stays as it is."""
    seen = os.fstat(descriptor)
    if seen.st_mode & _OTHERS:
        raise ReceiptsFolderUnready(
            f"Others may use {escape(path)}, in which {reader.name} finds receipts",
            where="The receipts wait; deliveries do not wait for them",
            next_step=f"Run `chmod o= {escape(path)}`",
        )
    if seen.st_uid == os.geteuid() and not seen.st_mode & _GROUP:
        _let_read(descriptor, reader)


def _let_read(descriptor: int, reader: Reader) -> None:
    """By an access control list; on a file system without any by the account's group, which needs CAP_CHOWN."""
    if reader.uid == os.geteuid():
        return
    try:
        acl.let_read_alone(descriptor, reader.uid)
    except OSError as error:
        if not acl.is_unsupported(error):
            raise
        os.fchown(descriptor, -1, pwd.getpwuid(reader.uid).pw_gid)
        os.fchmod(descriptor, 0o750 if stat.S_ISDIR(os.fstat(descriptor).st_mode) else 0o640)


def _unready(path: str, error: OSError, reader: Reader) -> ReceiptsFolderUnready:
    return ReceiptsFolderUnready(
        f"{escape(path)}, in which {reader.name} finds receipts, cannot be used: {in_words(error, Path(path))}",
        where="The receipts wait; deliveries do not wait for them",
        next_step="Run `dropslot doctor`",
    )


def write(folder: Folder, reader: Reader, name: str, content: bytes) -> None:
    """Write one file, whole or not at all; it replaces one of the same name. Call `sync` afterwards. Raises OSError."""
    aside = f"{_ASIDE}{secrets.token_hex(8)}"
    descriptor = os.open(aside, _NEW_FILE, 0o600, dir_fd=folder.fd)
    try:
        try:
            write_all(descriptor, memoryview(content))
            _let_read(descriptor, reader)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(aside, name, src_dir_fd=folder.fd, dst_dir_fd=folder.fd)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(aside, dir_fd=folder.fd)
        raise


def sync(folder: Folder) -> None:
    """Make the names durable. Raises OSError."""
    os.fsync(folder.fd)


def is_same(folder: Folder, name: str, content: bytes) -> bool:
    """Whether the file has just this content. Raises OSError."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder.fd)
    except FileNotFoundError:
        return False
    with open(descriptor, "rb") as stream:
        return stream.read(len(content) + 1) == content


def remove_old(folder: Folder, keep: timedelta) -> int:
    """Remove receipts that were written longer ago, and what a killed process left. Returns the number of receipts.
    Raises OSError."""
    now, count = time.time(), 0
    for name in os.listdir(folder.fd):
        seen = look(folder.fd, name)
        if seen is None or not stat.S_ISREG(seen.st_mode):
            continue
        is_receipt = name.endswith(ENDING) and seen.st_mtime < now - keep.total_seconds()
        if is_receipt or (name.startswith(_ASIDE) and seen.st_mtime < now - _ABANDONED_SECONDS):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder.fd)
                count += is_receipt
    return count
