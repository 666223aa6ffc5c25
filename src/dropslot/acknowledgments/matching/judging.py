"""What a request means for the delivery that it asked for: acknowledged, a part of it, an access, or nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from dropslot.acknowledgments.lines import Request
from dropslot.core.patterns import composed, forms

ANYBODY = "*"
# The clock of another machine may be wrong by this much.
SKEW = timedelta(hours=1)
# Ranges further apart belong to different fetches.
TOGETHER = timedelta(hours=1)
# Names that programs give themselves: search engines, link previews, monitoring, scanners. Whole names only: CUBOT is
# a maker of telephones, and people read with CamScanner, Scanbot or Firefox Preview.
_BOTS = re.compile(
    r"(?<![a-z0-9.])(?!cubot|scanbot|talbot|abbot)[a-z0-9.]*bot(?![a-z0-9])|crawl(?:er|ing)?\b|spider\b|\bslurp\b|ia_archiver"
    r"|facebookexternalhit|meta-externalagent|\bwhatsapp/|skypeuripreview|bingpreview|link-?preview|imageproxy"
    r"|google-(?:read-aloud|pagerenderer|inspectiontool|safety)|uptime|stackdrivermonitoring|pingdom|statuscake|site24x7"
    r"|\bnagios|check_http|\bzabbix|\bicinga|\bprometheus/|blackbox.exporter|\bcensys|\bmasscan\b|\bzgrab\b|\bnmap\b"
    r"|\bnikto\b|\bnessus\b|\bopenvas\b|\bacunetix\b|\bqualys|\bsqlmap\b|\bnuclei\b|\bvirustotal|\burlscan"
    r"|\bbarracuda|\bmimecast|\bproofpoint|\bheadlesschrome/",
    re.IGNORECASE,
)
# The part of a user agent in which a telephone or tablet names its model.
_DEVICE = re.compile(r"\(Linux;(?![^()]*compatible)[^()]*Android[^()]*\)?", re.IGNORECASE)


class Span(NamedTuple):
    """Bytes of a delivery in one response; `known`: the log says which bytes."""

    first: int
    after: int
    known: bool = True

    @property
    def size_bytes(self) -> int:
        return self.after - self.first


@dataclass(frozen=True, slots=True)
class Rights:
    """Who may acknowledge: the users of a log, each with their folders."""

    users: Mapping[str, Sequence[str]]

    def may(self, user: str, folder: str | None) -> bool:
        """Whether this user's fetch acknowledges files in this folder."""
        return self.names(user, folder) or _has(self.users.get(ANYBODY, ()), folder)

    def names(self, user: str, folder: str | None) -> bool:
        """Whether this folder is given to the user by name: somebody who is signed in is not a robot."""
        given = next((self.users[form] for form in forms(user) if form in self.users), ())
        return bool(user) and user != ANYBODY and _has(given, folder)


def _has(given: Sequence[str], folder: str | None) -> bool:
    return ANYBODY in given or (folder is not None and composed(folder) in map(composed, given))


def may_count(request: Request) -> bool:
    """Whether a request can have brought bytes of a file to anybody: HEAD, 304 and errors cannot."""
    return request.method == "GET" and request.status in (200, 206)


def is_bot(agent: str) -> bool:
    """Whether it is a robot, by the name that the program gives itself."""
    return _BOTS.search(_DEVICE.sub("", agent)) is not None


def span_of(request: Request, size_bytes: int, among: int, together_bytes: int) -> Span | None:
    """The bytes of a file of `size_bytes` that the response held, None if it held none.

    `among`: the number of files that the response packed, with `together_bytes`: it counts for all of them, or for
    none.
    """
    if among > 1:
        return _packed(request, size_bytes, together_bytes)
    if request.encoding and not _is_as_stored(request, size_bytes):
        # The bytes sent are not the file's own: only that all of them were sent proves something.
        return Span(0, size_bytes) if request.status == 200 and request.aborted is False else None
    sent = body_bytes(request)
    if request.status == 206:
        return _of_range(request, size_bytes, sent)
    if sent >= size_bytes:
        return None if request.aborted else Span(0, size_bytes)
    # Cut off: a download that continues asks for the rest. A complete response with fewer bytes was compressed.
    return Span(0, sent) if sent and request.aborted is not False else None


def _is_as_stored(request: Request, size_bytes: int) -> bool:
    """Whether the file itself was sent although an encoding is named: for a `.gz`, some servers say gzip."""
    if request.status == 206:
        return request.of_bytes == size_bytes
    return body_bytes(request) >= size_bytes


def never_counts(request: Request, size_bytes: int) -> bool:
    """Whether nothing can be concluded from a line of a file of `size_bytes`: fewer bytes went out, and it does not say
    whether they were compressed, or that all of them were sent."""
    if request.status != 200 or request.aborted or body_bytes(request) >= size_bytes:
        return False
    return request.encoding is None or (bool(request.encoding) and request.aborted is None)


def counts_headers(request: Request, size_bytes: int) -> bool:
    """Whether a line's size must include headers: it is larger than the whole file of `size_bytes`."""
    more = (request.body_bytes or 0) - size_bytes
    return request.status == 200 and request.sent_bytes is None and not request.encoding and more > 0


def packs_all(request: Request, together_bytes: int) -> bool:
    """Whether a response that packed a whole folder had all files of it that together have so many bytes. The clouds
    pack without compressing; one that did has fewer bytes, and proves nothing."""
    return request.status == 200 and not request.aborted and body_bytes(request) >= together_bytes


def _packed(request: Request, size_bytes: int, together_bytes: int) -> Span | None:
    whole = request.aborted is False or (request.aborted is None and body_bytes(request) >= together_bytes)
    return Span(0, size_bytes) if request.status == 200 and whole else None


def _of_range(request: Request, size_bytes: int, sent: int) -> Span | None:
    if request.span is None:
        # Without Content-Range in the log it is unknown which bytes these were. If headers are counted, even their
        # number is unknown: the headers of all responses add up.
        told = request.body_bytes is not None and not request.aborted
        return Span(0, min(sent, size_bytes), known=False) if sent and told else None
    first, after = request.span[0], min(request.span[1], size_bytes)
    if request.aborted and first + sent >= after:
        return None  # all of it was to be sent; how much was sent is unknown
    after = min(after, first + sent)
    return Span(first, after) if first < after else None


def body_bytes(request: Request) -> int:
    """The largest number of bytes of the body that were sent: the server's count, but no more than all bytes sent
    without the smallest possible headers."""
    if request.sent_bytes is None:
        return request.body_bytes or 0
    is_known = request.aborted is False and request.body_bytes is not None
    sent = max(0, request.sent_bytes - (0 if is_known else request.header_bytes))
    # The bytes that were to be sent, and those that were: only the second shows a cut connection.
    return sent if request.body_bytes is None else min(request.body_bytes, sent)


def may_hold_some(request: Request) -> bool:
    """Whether a part of the file may have been sent, as far as the log says."""
    told = [count for count in (request.body_bytes, request.sent_bytes) if count is not None]
    return bool(told) and all(told)


def merged(spans: Sequence[Sequence[int]], span: Span) -> list[list[int]]:
    """The ranges with one more, sorted, and merged where they touch."""
    found: list[list[int]] = []
    for first, after in sorted([*((a, b) for a, b, *_ in spans), (span.first, span.after)]):
        if found and first <= found[-1][1]:
            found[-1][1] = max(found[-1][1], after)
        else:
            found.append([first, after])
    return found


def covers(spans: Sequence[Sequence[int]], size_bytes: int) -> bool:
    """Whether ranges are all of a file."""
    return any(first <= 0 and after >= size_bytes for first, after in spans)
