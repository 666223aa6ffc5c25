"""The few values of a command set (PS3.7 6.3) that are needed before pynetdicom has decoded it."""

from __future__ import annotations

import tempfile
from typing import NamedTuple

STORE_REQUEST = 0x0001
_AFFECTED_CLASS, _FIELD, _AFFECTED_INSTANCE = 0x0002, 0x0100, 0x1000
_LARGEST_OTHER = 4 * 1024 * 1024  # a request for the commitment of 30,000 instances


class Command(NamedTuple):
    """What a message is, and the SOP class and instance that it is about; 0 and empty if it does not say."""

    field: int
    sop_class: str
    sop_uid: str


def command_in(encoded: bytes) -> Command:
    """The command of an encoded command set, which is always Implicit VR Little Endian."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 8 <= len(encoded):
        element, length = int.from_bytes(encoded[at + 2 : at + 4], "little"), at + 4
        size = int.from_bytes(encoded[length : length + 4], "little")
        found[element] = encoded[at + 8 : at + 8 + size]
        at += 8 + size
    return Command(
        int.from_bytes(found.get(_FIELD, b"")[:2], "little"),
        _text(found.get(_AFFECTED_CLASS, b"")),
        _text(found.get(_AFFECTED_INSTANCE, b"")),
    )


def _text(value: bytes) -> str:
    return value.decode("ascii", "replace").strip("\0 ")


class Kept:
    """A data set that is no instance, such as a request for commitment, in a nameless file (a `stream.Sink`)."""

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
