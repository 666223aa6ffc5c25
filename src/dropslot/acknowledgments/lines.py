"""Log line readers: what one line of an access log says. The extension point `format`, by dotted path."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple

from dropslot.acknowledgments.formats.log_format import LogFormat, unescape
from dropslot.acknowledgments.formats.moments import moment
from dropslot.config import load_dotted

# What Apache, nginx and others say at the least before a file; with HTTP/2 it is packed, behind two frames' heads.
_LEAST_HEADERS = len(
    "HTTP/1.1 200 OK\r\nDate: Sun, 01 Mar 2026 00:00:00 GMT\r\nServer: nginx\r\nContent-Length: 1\r\n"
    "Last-Modified: Sun, 01 Mar 2026 00:00:00 GMT\r\nAccept-Ranges: bytes\r\n\r\n"
)
_LEAST_FRAMES = 18
_RANGE = re.compile(rb"\s*bytes\s+(\d{1,18})-(\d{1,18})/(\d{1,18}|\*)\s*", re.IGNORECASE)


class Request(NamedTuple):
    """One request as a server logged it. `target` is what was asked for, still percent-encoded."""

    at: datetime  # UTC
    address: str
    user: str  # empty: nobody logged in
    method: str
    target: bytes
    status: int
    body_bytes: int | None = None  # without headers
    sent_bytes: int | None = None  # headers included
    aborted: bool | None = None  # None: the log does not say
    agent: str = ""
    span: tuple[int, int] | None = None  # of a 206: the first byte, and the one after the last
    encoding: str | None = None  # how the server compressed it; empty: not at all; None: the log does not say
    of_bytes: int | None = None  # of a 206: how many the range was taken from, if that is known
    header_bytes: int = 0  # the least that is in `sent_bytes` besides the body


class LogLineReader:
    """Reads lines; made once from its format and used for many. Subclass it and name it in config.yaml by its dotted
    path for a log that no LogFormat describes.

    `searchable`: every line holds its request's target as bytes, percent-encoded as it was sent, so that lines
    without the fixed text of `match` need not be read at all.
    """

    searchable = False

    def read(self, line: bytes) -> Request | None:
        """The request in one line (without its newline); None, or ValueError, when it is not of this format."""
        raise NotImplementedError


class FormatReader(LogLineReader):
    """Lines of a LogFormat."""

    searchable = True

    def __init__(self, text: str) -> None:
        self.format = LogFormat(text)

    def read(self, line: bytes) -> Request | None:
        groups = self.format.groups(line)
        if groups is None:
            return None
        method, target = _asked(groups)
        return Request(
            at=moment(groups, self.format.strftime).astimezone(UTC),
            address=_text(groups.get("address", b"")),
            user=_user(groups.get("user", b"")),
            method=method,
            target=target,
            status=int(_number(groups["status"]) or 0),
            body_bytes=_bytes(groups, "body_bytes"),
            sent_bytes=_bytes(groups, "sent_bytes"),
            aborted=_aborted(groups),
            agent=_text(groups.get("agent", b"")),
            span=_span(groups.get("content_range", b"")),
            encoding=_encoding(groups),
            of_bytes=_of_bytes(groups.get("content_range", b"")),
            header_bytes=_header_bytes(groups),
        )


def for_format(text: str) -> LogLineReader:
    """The reader for a format: a LogFormat or its name, or a dotted path. Raises ValueError in words."""
    if not re.fullmatch(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", text):
        return FormatReader(text)
    reader = load_dotted(text)()
    if not isinstance(reader, LogLineReader):
        raise ValueError(f"{text} is not a dropslot.acknowledgments.lines.LogLineReader")  # noqa: TRY004
    return reader


def _asked(groups: dict[str, bytes]) -> tuple[str, bytes]:
    if request := groups.get("request"):
        parts = unescape(request).split(b" ")
        if len(parts) < 2:
            return "", b""
        # A client may send a blank within the target, and old ones send no protocol.
        rest = parts[1:-1] if len(parts) > 2 and parts[-1].startswith(b"HTTP/") else parts[1:]
        return _text(parts[0]), b" ".join(rest)
    if target := groups.get("target"):
        return _text(groups["method"]), unescape(target)
    # Apache logs %U decoded: what it says with % is a % of the name.
    path = unescape(groups["path"]).replace(b"%", b"%25").replace(b"?", b"%3F")
    return _text(groups["method"]), path + unescape(groups.get("query", b""))


def _text(raw: bytes) -> str:
    return unescape(raw).decode("utf-8", "surrogateescape")


def _user(raw: bytes) -> str:
    # Apache writes "" for a user whose name is empty, and - for none.
    return "" if raw in (b"-", b'""', b"") else _text(raw)


def _number(raw: bytes) -> int | None:
    return int(raw) if raw.isdigit() else None


def _bytes(groups: dict[str, bytes], name: str) -> int | None:
    return (_number(groups[name]) or 0) if name in groups else None


def _aborted(groups: dict[str, bytes]) -> bool | None:
    if "connection" in groups:
        return groups["connection"] == b"X"
    return groups["completion"] != b"OK" if "completion" in groups else None


def _encoding(groups: dict[str, bytes]) -> str | None:
    if "encoding" in groups:
        named = _text(groups["encoding"]).strip().lower()
        return "" if named in ("", "-", "identity") else named
    if "gzip_ratio" in groups:
        return "gzip" if groups["gzip_ratio"][:1].isdigit() else ""
    return None


def _header_bytes(groups: dict[str, bytes]) -> int:
    if "sent_bytes" not in groups:
        return 0
    is_packed = groups.get("request", b"").endswith((b"HTTP/2.0", b"HTTP/2", b"HTTP/3.0", b"HTTP/3"))
    return _LEAST_FRAMES if is_packed else _LEAST_HEADERS


def _span(raw: bytes) -> tuple[int, int] | None:
    found = _RANGE.fullmatch(raw)
    return (int(found[1]), int(found[2]) + 1) if found else None


def _of_bytes(raw: bytes) -> int | None:
    found = _RANGE.fullmatch(raw)
    return int(found[3]) if found and found[3] != b"*" else None
