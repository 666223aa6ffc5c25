"""Log line readers: what one line of an access log says. The extension point `format`, by dotted path."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple

from dropslot.config import load_dotted
from dropslot.core.logformats import LogFormat, unescape
from dropslot.core.logtimes import moment

_RANGE = re.compile(rb"\s*bytes\s+(\d{1,18})-(\d{1,18})/(?:\d{1,18}|\*)\s*", re.IGNORECASE)


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
        )


def for_format(text: str) -> LogLineReader:
    """The reader for a format: a LogFormat or its name, or a dotted path. Raises ValueError in words."""
    if not re.fullmatch(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", text):
        return FormatReader(text)
    reader = load_dotted(text)()
    if not isinstance(reader, LogLineReader):
        raise ValueError(f"{text} is no dropslot.acknowledgments.lines.LogLineReader")  # noqa: TRY004
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


def _span(raw: bytes) -> tuple[int, int] | None:
    found = _RANGE.fullmatch(raw)
    return (int(found[1]), int(found[2]) + 1) if found else None
