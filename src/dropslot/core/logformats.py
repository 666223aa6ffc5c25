"""Formats of access logs: what Apache's LogFormat and nginx's log_format say, as one expression over bytes.

A format is compiled once. What stands between quotes is read as Apache and nginx escape it, so that no user name or
address of a page can look like another part of its line. The expression never goes back over a line more than once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

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
    "dropslot": f'{_COMBINED} %O %X "%{{Content-Range}}o"',
    "nginx": _NGINX,
}

_APACHE = re.compile(
    r"%(?:!?\d{3}(?:,\d{3})*)?(?P<which>[<>]?)(?:\{(?P<name>[^}]*)\})?(?P<code>\^\w\w|[A-Za-z%])"
)
_NGINX_VARIABLE = re.compile(r"\$\{?(?P<name>\w+)\}?")
_UNESCAPED = {"\\t": "\t", "\\n": "\n", '\\"': '"', "\\\\": "\\", "\\'": "'"}

# What each directive tells; all others are stepped over.
_MEANS = {
    "h": "address", "a": "address", "u": "user", "t": "time", "r": "request", "m": "method", "U": "path", "q": "query",
    "s": "status", "b": "body_bytes", "B": "body_bytes", "O": "sent_bytes", "X": "connection",
}  # fmt: skip
_HEADERS = {("i", "user-agent"): "agent", ("o", "content-range"): "content_range"}
_NGINX_MEANS = {
    "remote_addr": "address", "remote_user": "user", "time_local": "time", "time_iso8601": "time_iso",
    "msec": "time_sec", "request": "request", "request_method": "method", "request_uri": "target", "status": "status",
    "body_bytes_sent": "body_bytes", "bytes_sent": "sent_bytes", "http_user_agent": "agent",
    "sent_http_content_range": "content_range", "request_completion": "completion",
}  # fmt: skip
_TIMES = {"sec": "time_sec", "msec": "time_msec", "usec": "time_usec"}

_QUOTED = rb'[^"\\]*+(?:\\.[^"\\]*+)*+'
_SHAPES = {
    "time": rb"\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}",
    "time_iso": rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[+-]\d\d:?\d\d|Z)",
    "time_sec": rb"\d++(?:\.\d++)?",
    "time_msec": rb"\d++",
    "time_usec": rb"\d++",
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


class Piece(NamedTuple):
    """A text that stands in every line, or a directive: `means` is empty where it tells nothing that is needed."""

    literal: str
    means: str = ""
    strftime: str = ""


class LogFormat:
    """One format. Raises ValueError, in words for the person who wrote it, when it tells too little or is unknown."""

    def __init__(self, text: str) -> None:
        self.text = NAMED.get(text, text)
        pieces = list(_pieces(self.text))
        self.strftime = next((piece.strftime for piece in pieces if piece.strftime), "")
        self.means = frozenset(piece.means for piece in pieces if piece.means)
        _check(self)
        self._match = re.compile(_expression(pieces), re.DOTALL).fullmatch

    def groups(self, line: bytes) -> dict[str, bytes] | None:
        """What a line tells, still escaped, by meaning; None when it is not of this format."""
        found = self._match(line)
        return found.groupdict(b"") if found else None


def unescape(text: bytes) -> bytes:
    r"""What a server wrote as \xhh, \" and the like, as the bytes that it was sent."""
    return _ESCAPE.sub(_unescaped, text) if b"\\" in text else text


_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"b": b"\b", b"f": b"\f", b"v": b"\v"}


def _unescaped(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1], 16)]) if found[1] else _LETTERS.get(found[2], found[2])


def _pieces(text: str) -> Iterator[Piece]:
    if "$" in text and "%" not in text:
        yield from _split(text, _NGINX_VARIABLE, _nginx)
    else:
        plain = re.sub(r"\\[tn\"'\\]", lambda found: _UNESCAPED[found[0]], text)
        yield from _split(plain, _APACHE, _apache)


def _split(text: str, directive: re.Pattern[str], piece: Callable[[re.Match[str]], Piece]) -> Iterator[Piece]:
    at = 0
    for found in directive.finditer(text):
        if found.start() > at:
            yield Piece(text[at : found.start()])
        yield piece(found)
        at = found.end()
    if at < len(text):
        yield Piece(text[at:])


def _apache(found: re.Match[str]) -> Piece:
    code, name = found["code"], found["name"]
    if code == "%":
        return Piece("%")
    if code == "t" and name:
        return _time(name.removeprefix("begin:").removeprefix("end:"))
    if name is not None and code != "a":
        return Piece("", _HEADERS.get((code, name.lower()), "other"))
    if code == "s" and found["which"] == "<":
        return Piece("", "other")  # what the request was before the server sent it elsewhere
    if code == "t":
        return Piece("", "time_bracketed")
    return Piece("", _MEANS.get(code, "other"))


def _time(name: str) -> Piece:
    if name in _TIMES:
        return Piece("", _TIMES[name])
    if name.endswith("_frac"):
        return Piece("", "other")
    if "%z" not in name:
        raise ValueError(f"expected a time with its zone: %z is missing in '%{{{name}}}t'")
    return Piece("", "time_own", name)


def _nginx(found: re.Match[str]) -> Piece:
    return Piece("", _NGINX_MEANS.get(found["name"], "other"))


def _check(made: LogFormat) -> None:
    has = {meaning.partition("_")[0] for meaning in made.means}
    if not made.means:
        raise ValueError(f"expected a LogFormat, or one of {', '.join(sorted(NAMED))}")
    wanted = {
        "the time (%t)": "time" in has,
        "the request (%r)": "request" in has or {"method", "path"} <= has or {"method", "target"} <= has,
        "the status (%>s)": "status" in has,
        "the bytes sent (%b, %B or %O): without them nobody knows whether a file was sent whole": bool(
            {"body_bytes", "sent_bytes"} & made.means
        ),
    }
    if missing := [words for words, there in wanted.items() if not there]:
        raise ValueError(f"expected a format with {' and '.join(missing)}")


def _expression(pieces: list[Piece]) -> bytes:
    seen: set[str] = set()
    parts = []
    for index, piece in enumerate(pieces):
        if piece.literal:
            parts.append(re.escape(piece.literal.encode()))
            continue
        before = pieces[index - 1].literal if index else ""
        after = next((later.literal for later in pieces[index + 1 :] if later.literal), "")
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


def moment(format_: LogFormat, groups: dict[str, bytes]) -> datetime:
    """The time of a line, with its zone. Raises ValueError for one that is none."""
    if text := groups.get("time"):
        return _clf(text)
    if text := groups.get("time_iso"):
        return datetime.fromisoformat(text.decode("ascii"))
    for name, a_second in (("time_sec", 1), ("time_msec", 1000), ("time_usec", 1_000_000)):
        if text := groups.get(name):
            return datetime.fromtimestamp(float(text) / a_second, UTC)
    return datetime.strptime(groups["time_own"].decode("ascii"), format_.strftime).astimezone(UTC)


_MONTHS = {
    name: number
    for number, name in enumerate(
        (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"), 1
    )
}


def _clf(text: bytes) -> datetime:
    """`10/Oct/2000:13:55:36 -0700`; strptime takes ten times as long."""
    month = _MONTHS.get(text[3:6])
    if month is None:
        raise ValueError(f"{text!r} has no month")
    offset = timedelta(hours=int(text[22:24]), minutes=int(text[24:26]))
    zone = timezone(-offset if text[21:22] == b"-" else offset)
    return datetime(
        int(text[7:11]),
        month,
        int(text[:2]),
        int(text[12:14]),
        int(text[15:17]),
        int(text[18:20]),
        tzinfo=zone,
    )
