"""The packets of SFTP version 3 (draft-ietf-secsh-filexfer-02) and of OpenSSH's extensions (its PROTOCOL file)."""

from __future__ import annotations

import stat
import struct
import sys
from dataclasses import dataclass
from typing import NamedTuple

OPEN, CLOSE, READ, WRITE, LSTAT, FSTAT, SETSTAT, FSETSTAT, OPENDIR, READDIR, REMOVE, MKDIR, RMDIR = range(
    3, 16
)
REALPATH, STAT, RENAME, READLINK, SYMLINK = range(16, 21)
EXTENDED, STATUS, HANDLE, DATA, NAME, ATTRS, EXTENDED_REPLY = 200, 101, 102, 103, 104, 105, 201
INIT, VERSION = 1, 2

FOR_READING, FOR_WRITING, CREATE, TRUNCATE, EXCLUSIVE = 0x01, 0x02, 0x08, 0x10, 0x20

OK, END, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE, BAD_MESSAGE, NO_CONNECTION, LOST, UNSUPPORTED = range(9)
_WELL = OK.to_bytes(4, "big")
NO_SPACE, QUOTA = 14, 15  # of version 5; some servers use them in version 3, too

HARDLINK = "hardlink@openssh.com"
FSYNC = "fsync@openssh.com"
STATVFS = "statvfs@openssh.com"
LIMITS = "limits@openssh.com"
LATEST_TIME = 2**32 - 1
_NAMES = sys.getfilesystemencoding()  # as names of this machine: bytes that are not text are kept


class Said(Exception):
    """A server's answer that refuses a request; `text` is the server's own, and may be anything."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code, self.text = code, text


class Garbled(Exception):
    """The bytes received are not SFTP."""


class Request(NamedTuple):
    """One request without its length and number; `data` follows the body uncopied."""

    kind: int
    body: bytes
    data: bytes | memoryview = b""


class Reply(NamedTuple):
    """One answer without its length and number."""

    kind: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Attributes:
    """A server's facts about a file; None: it does not say. Times in whole seconds, as in version 3."""

    size: int | None = None
    uid: int | None = None
    gid: int | None = None
    mode: int | None = None
    mtime: int | None = None

    @property
    def is_folder(self) -> bool:
        return self.mode is not None and stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        return self.mode is not None and stat.S_ISREG(self.mode)

    def encoded(self) -> bytes:
        flags, parts = 0, []
        if self.size is not None:
            flags |= 1
            parts.append(struct.pack(">Q", self.size))
        if self.uid is not None and self.gid is not None:
            flags |= 2
            parts.append(struct.pack(">II", self.uid, self.gid))
        if self.mode is not None:
            flags |= 4
            parts.append(struct.pack(">I", self.mode))
        if self.mtime is not None:
            flags |= 8
            parts.append(struct.pack(">II", self.mtime, self.mtime))
        return struct.pack(">I", flags) + b"".join(parts)


NOTHING = Attributes()


def seconds(time_ns: int) -> int:
    """A time in ns as version 3 can hold it."""
    return min(max(time_ns // 1_000_000_000, 0), LATEST_TIME)


def text(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def path(value: str) -> bytes:
    return text(value.encode(_NAMES, "surrogateescape"))


def open_file(name: str, flags: int, attributes: Attributes = NOTHING) -> Request:
    return Request(OPEN, path(name) + struct.pack(">I", flags) + attributes.encoded())


def close(handle: bytes) -> Request:
    return Request(CLOSE, text(handle))


def read(handle: bytes, offset: int, length: int) -> Request:
    return Request(READ, text(handle) + struct.pack(">QI", offset, length))


def write(handle: bytes, offset: int, data: bytes | memoryview) -> Request:
    return Request(WRITE, text(handle) + struct.pack(">QI", offset, len(data)), data)


def on(kind: int, name: str) -> Request:
    """LSTAT, STAT, OPENDIR, REMOVE, RMDIR, REALPATH of a path."""
    return Request(kind, path(name))


def of(kind: int, handle: bytes) -> Request:
    """FSTAT, READDIR of a handle."""
    return Request(kind, text(handle))


def make_folder(name: str, attributes: Attributes = NOTHING) -> Request:
    return Request(MKDIR, path(name) + attributes.encoded())


def set_attributes(name: str, attributes: Attributes) -> Request:
    return Request(SETSTAT, path(name) + attributes.encoded())


def set_attributes_of(handle: bytes, attributes: Attributes) -> Request:
    return Request(FSETSTAT, text(handle) + attributes.encoded())


def rename(old: str, new: str) -> Request:
    return Request(RENAME, path(old) + path(new))


def symlink(points_to: str, name: str) -> Request:
    """In OpenSSH's order; the draft, and some servers, have the two the other way round."""
    return Request(SYMLINK, path(points_to) + path(name))


def link(old: str, new: str) -> Request:
    return extended(HARDLINK, path(old) + path(new))


def extended(name: str, body: bytes = b"") -> Request:
    return Request(EXTENDED, text(name.encode()) + body)


def frame(number: int, request: Request) -> bytes:
    """The head of a request, to be followed by its data."""
    length = 5 + len(request.body) + len(request.data)
    return struct.pack(">IBI", length, request.kind, number) + request.body


def done(reply: Reply) -> None:
    """Raise Said unless the answer is OK."""
    if reply.kind != STATUS:
        raise Garbled(f"an answer of kind {reply.kind} where a status was expected")
    if reply.body.startswith(_WELL):
        return
    raise Said(Reader(reply.body).integer(), _message(reply.body))


def _expect(reply: Reply, kind: int) -> bytes:
    if reply.kind == STATUS:
        raise Said(Reader(reply.body).integer() or FAILURE, _message(reply.body))
    if reply.kind != kind:
        raise Garbled(f"an answer of kind {reply.kind} where {kind} was expected")
    return reply.body


def _message(body: bytes) -> str:
    length = int.from_bytes(body[4:8], "big")
    return body[8 : 8 + length].decode("utf-8", "replace")


def handle(reply: Reply) -> bytes:
    return Reader(_expect(reply, HANDLE)).text()


def data(reply: Reply) -> bytes:
    """The bytes that were read; b"" at the end of the file."""
    try:
        body = _expect(reply, DATA)
    except Said as said:
        if said.code == END:
            return b""
        raise
    return body[4 : 4 + int.from_bytes(body[:4], "big")]


def attributes(reply: Reply) -> Attributes:
    return Reader(_expect(reply, ATTRS)).attributes()


def found(reply: Reply) -> Attributes | None:
    """As `attributes`; None if there is nothing."""
    try:
        return attributes(reply)
    except Said as said:
        if said.code == NO_SUCH_FILE:
            return None
        raise


def names(reply: Reply) -> list[tuple[str, Attributes]]:
    """Entries of a folder without `.` and `..`."""
    reader = Reader(_expect(reply, NAME))
    entries = []
    for _ in range(reader.integer()):
        name, _long, seen = reader.text(), reader.text(), reader.attributes()
        if name not in (b".", b".."):
            entries.append((name.decode(_NAMES, "surrogateescape"), seen))
    return entries


def extended_reply(reply: Reply) -> Reader:
    return Reader(_expect(reply, EXTENDED_REPLY))


class Reader:
    """Takes one value after the other from the front of an answer. Raises Garbled when there is none."""

    def __init__(self, body: bytes) -> None:
        self._body, self._at = body, 0

    def integer(self, width: int = 4) -> int:
        return int.from_bytes(self._take(width), "big")

    def text(self) -> bytes:
        return self._take(self.integer())

    def at_end(self) -> bool:
        return self._at >= len(self._body)

    def attributes(self) -> Attributes:
        flags = self.integer()
        size = self.integer(8) if flags & 1 else None
        uid, gid = (self.integer(), self.integer()) if flags & 2 else (None, None)
        mode = self.integer() if flags & 4 else None
        mtime = None
        if flags & 8:
            self.integer()
            mtime = self.integer()
        if flags & 0x80000000:
            for _ in range(2 * self.integer()):
                self.text()
        return Attributes(size, uid, gid, mode, mtime)

    def _take(self, count: int) -> bytes:
        taken = self._body[self._at : self._at + count]
        if len(taken) != count:
            raise Garbled("an answer that was cut short")
        self._at += count
        return taken
