"""What Apache's LogFormat (mod_log_config) and nginx's log_format (ngx_http_log_module) are made of: texts, and
directives of which some tell what is needed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

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
_HEADERS = {
    ("i", "user-agent"): "agent",
    ("o", "content-range"): "content_range",
    ("o", "content-encoding"): "encoding",
}
_NGINX_MEANS = {
    "remote_addr": "address", "remote_user": "user", "time_local": "time", "time_iso8601": "time_iso",
    "msec": "time_sec", "request": "request", "request_method": "method", "request_uri": "target", "status": "status",
    "body_bytes_sent": "body_bytes", "bytes_sent": "sent_bytes", "http_user_agent": "agent",
    "sent_http_content_range": "content_range", "request_completion": "completion",
    "sent_http_content_encoding": "encoding", "gzip_ratio": "gzip_ratio",
}  # fmt: skip
_TIMES = {"sec": "time_sec", "msec": "time_msec", "usec": "time_usec"}


class Piece(NamedTuple):
    """A text that stands in every line, or a directive: `means` is empty where it tells nothing that is needed."""

    literal: str
    means: str = ""
    strftime: str = ""


def pieces(text: str) -> Iterator[Piece]:
    """A format, taken apart. Raises ValueError, in words for the person who wrote it."""
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
