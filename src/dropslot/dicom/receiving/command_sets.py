"""The command sets (PS3.7 6.3 and 9.3.1) of C-STORE, and the few values of others that are needed before pynetdicom has
decoded them."""

from __future__ import annotations

import tempfile
from typing import NamedTuple

_STORE_REQUEST, _STORE_RESPONSE = 0x0001, 0x8001
_LENGTH, _CLASS, _FIELD, _MESSAGE_ID, _RESPONDED_TO = 0x0000, 0x0002, 0x0100, 0x0110, 0x0120
_DATA_SET_TYPE, _STATUS, _INSTANCE = 0x0800, 0x0900, 0x1000
_MOVED_BY, _MOVED_FOR = 0x1030, 0x1031
_NO_DATA_SET = 0x0101
_LONGEST_TITLE = 16
_LARGEST_OTHER = 4 * 1024 * 1024  # a request for the commitment of 30,000 instances


class Command(NamedTuple):
    """What a message is, and the SOP class and instance that it is about; 0 and empty if it does not say. `move`: the
    C-MOVE of which a C-STORE is a sub-operation, see `move_key`."""

    field: int
    message_id: int
    has_data_set: bool
    sop_class: str
    sop_uid: str
    move: str = ""

    @property
    def is_store(self) -> bool:
        """Whether it is a C-STORE-RQ."""
        return self.field == _STORE_REQUEST


def command_in(encoded: bytes) -> Command:
    """The command of an encoded command set, which is always Implicit VR Little Endian."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 8 <= len(encoded):
        element = int.from_bytes(encoded[at + 2 : at + 4], "little")
        size = int.from_bytes(encoded[at + 4 : at + 8], "little")
        found[element] = encoded[at + 8 : at + 8 + size]
        at += 8 + size
    return Command(
        _number(found.get(_FIELD, b"")),
        _number(found.get(_MESSAGE_ID, b"")),
        _number(found.get(_DATA_SET_TYPE, b"")) != _NO_DATA_SET,
        _text(found.get(_CLASS, b"")),
        _text(found.get(_INSTANCE, b"")),
        move_key(_text(found[_MOVED_BY]), _number(found.get(_MOVED_FOR, b""))) if _MOVED_BY in found else "",
    )


def move_key(aet: str, message_id: int) -> str:
    """One C-MOVE, by the AE title that asked for it and the request's message id; for names of files."""
    return f"m{message_id}.{aet.encode('ascii', 'replace')[:_LONGEST_TITLE].hex()}"


def store_answer(asked: Command, status: int) -> bytes:
    """The encoded command set of the C-STORE-RSP."""
    body = b"".join(
        (
            _element(_CLASS, _padded(asked.sop_class)),
            _element(_FIELD, _STORE_RESPONSE.to_bytes(2, "little")),
            _element(_RESPONDED_TO, asked.message_id.to_bytes(2, "little")),
            _element(_DATA_SET_TYPE, _NO_DATA_SET.to_bytes(2, "little")),
            _element(_STATUS, status.to_bytes(2, "little")),
            _element(_INSTANCE, _padded(asked.sop_uid)),
        )
    )
    return _element(_LENGTH, len(body).to_bytes(4, "little")) + body


def _element(element: int, value: bytes) -> bytes:
    return b"\0\0" + element.to_bytes(2, "little") + len(value).to_bytes(4, "little") + value


def _padded(uid: str) -> bytes:
    value = uid.encode("ascii", "replace")
    return value + b"\0" * (len(value) % 2)


def _number(value: bytes) -> int:
    return int.from_bytes(value[:2], "little")


def _text(value: bytes) -> str:
    return value.decode("ascii", "replace").strip("\0 ")


class Kept:
    """A data set that is no instance, such as a request for commitment, in a nameless file (a `relay.Sink`)."""

    def __init__(self, token: bytes) -> None:
        self.token = token
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by who reads it, or by `discard`
        self.is_too_long = False
        self._size = 0

    def write(self, part: memoryview) -> None:
        self._size += len(part)
        self.is_too_long = self.is_too_long or self._size > _LARGEST_OTHER
        if not self.is_too_long:
            try:
                self.file.write(part)
            except OSError:
                self.is_too_long = True

    def finish(self) -> bytes:
        return self.token

    def discard(self) -> None:
        self.file.close()
