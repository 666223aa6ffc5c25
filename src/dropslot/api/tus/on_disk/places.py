"""Where the bytes of an upload are: in the inbox itself, in a hidden folder of the service's own, which no rule takes
for an arrival.

    .dropslot-upload-ID/data/PATH    the bytes; the size of a file is its offset
    .dropslot-upload-ID/state/FILE   what the client said of it

Nothing here follows a link.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from dropslot.api.tus import problems
from dropslot.api.tus.on_disk.tickets import Ticket
from dropslot.core.names import UPLOADING
from dropslot.files.descriptors import Folder, look, make, remove_folder
from dropslot.files.syscalls import write_all

DATA, STATE = "data", "state"
_PRIVATE_FOLDER, _PRIVATE_FILE = 0o700, 0o600
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Part:
    """One file of an upload: its path inside, and its length in bytes. `modified_ns`: when its sender changed it."""

    path: str
    length: int
    modified_ns: int | None = None

    @property
    def id(self) -> str:
        """Which file of its upload it is, in addresses."""
        return id_of_part(self.path)


def id_of_part(path: str) -> str:
    """The id of the file at a path; the same path again is the same file."""
    return hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Place:
    """The open folder of one upload. Use it in a `with` block."""

    def __init__(self, ticket: Ticket, *, is_new: bool = False) -> None:
        """Raises Problem if it is not there, or not the service's own; OSError if the inbox cannot be used."""
        self.ticket = ticket
        self.name = name_of(ticket.id)
        self.path = Path(ticket.inbox) / self.name
        self._box = Folder.trusted(ticket.inbox)
        if is_new:
            make(self._box.fd, self.name, _PRIVATE_FOLDER)
        try:
            self._folder = self._box.beneath(self.name)
        except FileNotFoundError:
            self._box.close()
            raise problems.unknown() from None
        if os.fstat(self._folder.fd).st_uid != os.geteuid():
            self._box.close()
            raise problems.of_storage(NotADirectoryError(errno.ENOTDIR, self.name))
        if is_new:
            for inner in (DATA, STATE):
                make(self._folder.fd, inner, _PRIVATE_FOLDER)

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.close()
        self._box.close()

    @property
    def fd(self) -> int:
        return self._folder.fd

    def add(self, part: Part) -> int:
        """Make the file, empty, and its folders; returns its descriptor, locked. Raises Problem if it is written now,
        or if a folder or file of another kind has its path."""
        folder = self._folder.beneath(DATA)
        *above, last = part.path.split("/")
        for name in above:
            make(folder.fd, name, _PRIVATE_FOLDER)
            folder = folder.beneath(name)
        descriptor = _locked(os.open(last, _NEW_FILE, _PRIVATE_FILE, dir_fd=folder.fd), fcntl.LOCK_EX)
        os.ftruncate(descriptor, 0)
        self._write_state(part)
        return descriptor

    def add_folder(self, path: str) -> None:
        """Make a folder that holds nothing, and those above it."""
        folder = self._folder.beneath(DATA)
        for name in path.split("/"):
            make(folder.fd, name, _PRIVATE_FOLDER)
            folder = folder.beneath(name)

    def part(self, name: str) -> Part:
        """The file with an id. Raises Problem."""
        with self._folder.beneath(STATE) as states:
            return _read_state(states.fd, name)

    def names(self) -> list[str]:
        """The file or folder that is sent, by its name."""
        with self._folder.beneath(DATA) as folder:
            return sorted(os.listdir(folder.fd))

    def parts(self) -> list[Part]:
        """All files that were begun."""
        with self._folder.beneath(STATE) as states:
            return [_read_state(states.fd, name) for name in os.listdir(states.fd) if "." not in name]

    def open(self, part: Part, *, to_write: bool = False) -> int:
        """A descriptor of the file, locked: one to write with for itself alone, others for all who read. Raises Problem
        if it is written now."""
        above, _, last = part.path.rpartition("/")
        how = os.O_WRONLY if to_write else os.O_RDONLY
        try:
            with self._folder.beneath(f"{DATA}/{above}" if above else DATA) as folder:
                descriptor = os.open(last, how | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder.fd)
        except FileNotFoundError:
            raise problems.unknown() from None
        return _locked(descriptor, fcntl.LOCK_EX if to_write else fcntl.LOCK_SH)

    def size(self, part: Part) -> int:
        """How many bytes of the file are there; -1 if it is not there at all."""
        above, _, last = part.path.rpartition("/")
        try:
            with self._folder.beneath(f"{DATA}/{above}" if above else DATA) as folder:
                seen = look(folder.fd, last)
        except FileNotFoundError:
            return -1
        return seen.st_size if seen else -1

    def remove_part(self, part: Part) -> None:
        """Remove one file and what is known of it."""
        above, _, last = part.path.rpartition("/")
        with (
            suppress(FileNotFoundError),
            self._folder.beneath(f"{DATA}/{above}" if above else DATA) as folder,
        ):
            os.unlink(last, dir_fd=folder.fd)
        with suppress(FileNotFoundError):
            os.unlink(f"{STATE}/{part.id}", dir_fd=self._folder.fd)

    def remove(self) -> None:
        """Remove all of it. It keeps its hidden name meanwhile: under another one it would be taken for an arrival."""
        remove_folder(self._box.fd, self.name)

    @contextmanager
    def shared(self) -> Iterator[None]:
        """While this is open, nobody finishes or removes the upload. Raises Problem if somebody does so now."""
        yield from self._held(fcntl.LOCK_SH)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While this is open, nobody writes to the upload. Raises Problem if somebody does so now."""
        yield from self._held(fcntl.LOCK_EX)

    def _held(self, how: int) -> Iterator[None]:
        try:
            fcntl.flock(self._folder.fd, how | fcntl.LOCK_NB)
        except BlockingIOError:
            raise problems.busy() from None
        if look(self._box.fd, self.name) is None:  # removed, or finished, while we came
            raise problems.unknown()
        try:
            yield
        finally:
            fcntl.flock(self._folder.fd, fcntl.LOCK_UN)

    def _write_state(self, part: Part) -> None:
        with self._folder.beneath(STATE) as states:
            content = json.dumps(asdict(part)).encode()
            descriptor = os.open(f"{part.id}.new", _NEW_FILE | os.O_TRUNC, _PRIVATE_FILE, dir_fd=states.fd)
            try:
                write_all(descriptor, memoryview(content))
            finally:
                os.close(descriptor)
            os.rename(f"{part.id}.new", part.id, src_dir_fd=states.fd, dst_dir_fd=states.fd)


def name_of(ticket_id: str) -> str:
    """The hidden name in the inbox."""
    return f"{UPLOADING}{ticket_id}"


def received_bytes(ticket: Ticket) -> int:
    """How many bytes of an upload are in its inbox."""
    try:
        with Place(ticket) as place:
            return sum(max(place.size(part), 0) for part in place.parts())
    except (problems.Problem, OSError):
        return 0


def _read_state(states: int, name: str) -> Part:
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=states)
    except FileNotFoundError:
        raise problems.unknown() from None
    with open(descriptor, "rb") as stream:
        try:
            return Part(**json.loads(stream.read()))
        except (ValueError, TypeError):  # cut off by a power failure
            raise problems.unknown() from None


def _locked(descriptor: int, how: int) -> int:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise problems.busy() from None
    return descriptor
