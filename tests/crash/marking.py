"""Requests to a server as steps: what changes something there names itself, by a system call, just before it is sent.

The call is an unlink of a file that is not there, which the tracer stops at as at any other. Requests are sent one by
one here, and their data after them: of what otherwise shares a packet, the server has done any part when it is stopped
in between. One more step, `sent …`, comes just after it: the server does it, and nobody has heard so.

The test that makes the file while the process is stopped cuts the connection there, as a network does: what was sent
before arrives, no answer is heard any more.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

_CHANGING = {
    6: "WRITE", 9: "SETSTAT", 10: "FSETSTAT", 13: "REMOVE", 14: "MKDIR", 15: "RMDIR", 18: "RENAME", 20: "SYMLINK"
}  # fmt: skip
_ON_HANDLE = ("WRITE", "FSETSTAT")
_OPEN, _EXTENDED, _FOR_WRITING = 3, 200, 0x02
_EXTENSIONS = {b"hardlink@openssh.com": "LINK", b"fsync@openssh.com": "FSYNC"}
_HEAD = 9  # length, kind, number
_RANDOM = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}|[0-9a-f]{16}")


class Marker:
    """Names steps: by what is done and how often it was done before, so that they are the same in every run."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._counts = folder, Counter[str]()

    def is_cut(self, what: str) -> bool:
        """Take the step; whether the test has cut the connection there."""
        self._counts[what] += 1
        try:
            os.unlink(self._folder / f"{what} {self._counts[what]}")
        except FileNotFoundError:
            return False
        return True


class Wire:
    """asyncssh's channel, which sends whole frames or their data with each call of `write`."""

    def __init__(self, channel: Any, marker: Marker) -> None:
        self._channel, self._marker = channel, marker
        self._data_left = 0
        self._dead = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def write(self, data: bytes) -> None:
        what = self._named(data)
        if what and not self._dead:
            self._cut(what)
        if not self._dead:
            self._channel.write(data)
        if what and not self._dead and not self._data_left:
            self._cut(f"sent {what}")

    def _named(self, data: bytes) -> str:
        """What a frame changes; empty: nothing."""
        if self._data_left:
            self._data_left -= len(data)
            return f"{len(data)} bytes"
        self._data_left = int.from_bytes(data[:4], "big") + 4 - len(data)
        return named(data)

    def _cut(self, what: str) -> None:
        if self._marker.is_cut(what):
            self._dead = True
            self._channel.get_connection().abort()


def named(frame: bytes) -> str:
    """The name of a request that changes something; empty: it only looks."""
    kind, body = frame[4], frame[_HEAD:]
    first, rest = _text(body)
    if kind == _EXTENDED:
        return " ".join([_EXTENSIONS[first], *_paths(rest)]) if first in _EXTENSIONS else ""
    if kind == _OPEN:
        return f"OPEN {_path(first)}" if int.from_bytes(rest[:4], "big") & _FOR_WRITING else ""
    name = _CHANGING.get(kind, "")
    return name if not name or name in _ON_HANDLE else " ".join([name, _path(first), *_second(kind, rest)])


def _second(kind: int, rest: bytes) -> list[str]:
    return [_path(_text(rest)[0])] if _CHANGING[kind] in ("RENAME", "SYMLINK") else []


def _paths(body: bytes) -> list[str]:
    """The paths of a link; a handle is none."""
    found = []
    while body:
        text, body = _text(body)
        found += [_path(text)] if text.startswith(b"/") else []
    return found


def _text(body: bytes) -> tuple[bytes, bytes]:
    end = 4 + int.from_bytes(body[:4], "big")
    return body[4:end], body[end:]


def _path(path: bytes) -> str:
    """A path as part of a file's name: what is random in it is left out, and all that is not below `studies`."""
    text = _RANDOM.sub("x", os.fsdecode(path))
    return text.partition("/studies/")[2].replace("/", ":") or "studies"


def mark_requests(folder: Path) -> None:
    """From now on requests of this process are steps; `folder` is where a test may cut."""
    from dropslot.sftp import channel

    channel.WRITE_AT_ONCE = 1
    made, marker = channel.Channel.connection_made, Marker(folder)

    def connection_made(self: Any, chan: Any) -> None:
        made(self, Wire(chan, marker))  # type: ignore[arg-type]

    channel.Channel.connection_made = connection_made  # type: ignore[method-assign]
