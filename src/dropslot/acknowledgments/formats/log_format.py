"""Formats of access logs: what Apache's LogFormat and nginx's log_format say, as one expression over bytes.

A format is compiled once. What stands between quotes is read as Apache and nginx escape it, so that no user name or
address of a page can look like another part of its line. The expression never goes back over a line more than once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from dropslot.acknowledgments.formats.directives import Piece, pieces

_COMBINED = '%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"'
_NGINX = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer"'
    ' "$http_user_agent"'
)
NAMED = {
    "common": '%h %l %u %t "%r" %>s %b',
    "combined": _COMBINED,
    "combinedio": f"{_COMBINED} %I %O",
    # As Debian's apache2.conf has them: with headers counted.
    "debian": '%h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i"',
    "vhost_combined": '%v:%p %h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i"',
    # What docs/acknowledgments.md recommends.
    "dropslot": f'{_COMBINED} %O %X "%{{Content-Range}}o" "%{{Content-Encoding}}o"',
    "nginx": _NGINX,
    "dropslot_nginx": f'{_NGINX} $bytes_sent "$request_completion" "$sent_http_content_range"'
    ' "$sent_http_content_encoding"',
}
# Lines that servers write which were set up by earlier versions of the documentation.
_EARLIER = {NAMED["dropslot"]: f'{_COMBINED} %O %X "%{{Content-Range}}o"'}

_QUOTED = rb'[^"\\]*+(?:\\.[^"\\]*+)*+'
_SHAPES = {
    "time": rb"\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}",
    "time_iso": rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[+-]\d\d:?\d\d|Z)",
    "time_sec": rb"\d{1,11}(?:\.\d++)?",
    "time_msec": rb"\d{1,14}",
    "time_usec": rb"\d{1,17}",
    "status": rb"\d{3}|-",
    "body_bytes": rb"\d++|-",
    "sent_bytes": rb"\d++|-",
    "connection": rb"[X+-]",
    "address": rb"\S++",
    "completion": rb"OK|-?",
}
# The one part that may hold blanks without quotes around it.
_USER = rb".*?"
_REQUEST = rb"\S++ \S++(?: \S++)?|-"


class LogFormat:
    """One format. Raises ValueError, in words for the person who wrote it, when it tells too little or is unknown."""

    def __init__(self, text: str) -> None:
        self.text = NAMED.get(text, text)
        found = list(pieces(self.text))
        self.strftime = next((piece.strftime for piece in found if piece.strftime), "")
        self.means = frozenset(piece.means for piece in found if piece.means)
        _check(self)
        earlier = [list(pieces(_EARLIER[self.text]))] if self.text in _EARLIER else []
        self._matches = [re.compile(_expression(each), re.DOTALL).fullmatch for each in (found, *earlier)]

    def groups(self, line: bytes) -> dict[str, bytes] | None:
        """What a line tells, still escaped, by meaning; None when it is not of this format."""
        for match in self._matches:
            if found := match(line):
                return found.groupdict(b"")
        return None

    @property
    def tells_body(self) -> bool:
        """Whether it tells if a file went out whole: all that was sent has the headers in it, which are of any length,
        and is enough only where it is known that nothing broke off."""
        return "body_bytes" in self.means or bool({"connection", "completion"} & self.means)


def unescape(text: bytes) -> bytes:
    r"""What a server wrote as \xhh, \" and the like, as the bytes that it was sent."""
    return _ESCAPE.sub(_unescaped, text) if b"\\" in text else text


_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"b": b"\b", b"f": b"\f", b"v": b"\v"}


def _unescaped(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1], 16)]) if found[1] else _LETTERS.get(found[2], found[2])


def _check(made: LogFormat) -> None:
    has = {meaning.partition("_")[0] for meaning in made.means}
    if not made.means:
        raise ValueError(f"expected a LogFormat, or one of {', '.join(sorted(NAMED))}")
    wanted = {
        "the time (%t)": "time" in has,
        "the request (%r)": "request" in has or {"method", "path"} <= has or {"method", "target"} <= has,
        "the status (%>s)": "status" in has,
        "the bytes sent (%b, %B or %O): without them it is unknown whether a file was sent completely": bool(
            {"body_bytes", "sent_bytes"} & made.means
        ),
    }
    if missing := [words for words, there in wanted.items() if not there]:
        raise ValueError(f"expected a format with {' and '.join(missing)}")


def _expression(found: Sequence[Piece]) -> bytes:
    seen: set[str] = set()
    parts = []
    for index, piece in enumerate(found):
        if piece.literal:
            parts.append(re.escape(piece.literal.encode()))
            continue
        before = found[index - 1].literal if index else ""
        after = next((later.literal for later in found[index + 1 :] if later.literal), "")
        shape = _shape(piece.means, before[-1:], after[:1])
        if piece.means == "time_bracketed":
            parts.append(rb"\[(?P<time>" + _SHAPES["time"] + rb")\]")
        elif piece.means == "other" or piece.means in seen:
            parts.append(rb"(?:" + shape + rb")")
        else:
            parts.append(b"(?P<" + piece.means.encode() + b">" + shape + b")")
        seen.add(piece.means)
    return b"".join(parts)


def _shape(means: str, before: str, after: str) -> bytes:
    if means in _SHAPES and means != "time_bracketed":
        return _SHAPES[means]
    if before == after == '"':
        return _QUOTED
    if means == "user":
        return _USER
    if means == "request" and after in {" ", ""}:
        return _REQUEST
    if means == "path":
        after = f"?{after}"  # the query stands behind it, perhaps at once
    # Up to what follows in the format, so that there is one way only to read a line.
    return rb"[^" + re.escape(after.encode()) + rb"]*+" if after else rb".*+"
