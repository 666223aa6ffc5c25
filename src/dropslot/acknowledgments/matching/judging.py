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
# A clock of another machine may be wrong by so much.
SKEW = timedelta(hours=1)
# Ranges that lie further apart belong to two fetches.
TOGETHER = timedelta(hours=1)
# Programs as they name themselves: search engines, previews of links, watchers of services, scanners. Whole names only:
# CUBOT makes telephones, people read with CamScanner, Scanbot or Firefox Preview.
_BOTS = re.compile(
    r"(?<![a-z0-9.])(?!cubot|scanbot|talbot|abbot)[a-z0-9.]*bot(?![a-z0-9])|crawl(?:er|ing)?\b|spider\b|\bslurp\b|ia_archiver"
    r"|facebookexternalhit|meta-externalagent|\bwhatsapp/|skypeuripreview|bingpreview|link-?preview|imageproxy"
    r"|google-(?:read-aloud|pagerenderer|inspectiontool|safety)|uptime|stackdrivermonitoring|pingdom|statuscake|site24x7"
    r"|\bnagios|check_http|\bzabbix|\bicinga|\bprometheus/|blackbox.exporter|\bcensys|\bmasscan\b|\bzgrab\b|\bnmap\b"
    r"|\bnikto\b|\bnessus\b|\bopenvas\b|\bacunetix\b|\bqualys|\bsqlmap\b|\bnuclei\b|\bvirustotal|\burlscan"
    r"|\bbarracuda|\bmimecast|\bproofpoint|\bheadlesschrome/",
    re.IGNORECASE,
)
# What a telephone or tablet says of itself, its model's name with it.
_DEVICE = re.compile(r"\(Linux;(?![^()]*compatible)[^()]*Android[^()]*\)?", re.IGNORECASE)


class Span(NamedTuple):
    """Bytes of a delivery that one response held; `known`: the log tells which."""

    first: int
    after: int
    known: bool = True

    @property
    def size_bytes(self) -> int:
        return self.after - self.first


@dataclass(frozen=True, slots=True)
class Rights:
    """Whose fetch acknowledges: the users of a log, each with the folders that are theirs."""

    users: Mapping[str, Sequence[str]]

    def may(self, user: str, folder: str | None) -> bool:
        """Whether this user's fetch acknowledges what lies in this folder."""
        return self.names(user, folder) or _has(self.users.get(ANYBODY, ()), folder)

    def names(self, user: str, folder: str | None) -> bool:
        """Whether this folder is given to the user by name: somebody who is signed in is no program that looks at all
        that it finds."""
        given = next((self.users[form] for form in forms(user) if form in self.users), ())
        return bool(user) and user != ANYBODY and _has(given, folder)


def _has(given: Sequence[str], folder: str | None) -> bool:
    return ANYBODY in given or (folder is not None and composed(folder) in map(composed, given))


def may_count(request: Request) -> bool:
    """Whether a request can have brought bytes of a file to anybody: HEAD, 304 and errors cannot."""
    return request.method == "GET" and request.status in (200, 206)


def is_bot(agent: str) -> bool:
    """Programs that look at what they find, by the names that they give themselves."""
    return _BOTS.search(_DEVICE.sub("", agent)) is not None


def span_of(request: Request, size_bytes: int, among: int, together_bytes: int) -> Span | None:
    """The bytes of a file of `size_bytes` that the response held, None if it held none.

    `among`: how many files the response packed, of `together_bytes`: it has them all, or none that could be told.
    """
    if among > 1:
        return _packed(request, size_bytes, together_bytes)
    if request.encoding and not _is_as_stored(request, size_bytes):
        # Other bytes than the file's went out: that all of them did is the only proof.
        return Span(0, size_bytes) if request.status == 200 and request.aborted is False else None
    sent = body_bytes(request)
    if request.status == 206:
        return _of_range(request, size_bytes, sent)
    if sent >= size_bytes:
        return None if request.aborted else Span(0, size_bytes)
    # Cut off: a download that goes on from there asks for the rest. What ended well with fewer bytes was compressed.
    return Span(0, sent) if sent and request.aborted is not False else None


def _is_as_stored(request: Request, size_bytes: int) -> bool:
    """Whether what was sent is the file itself, though an encoding is named: of a `.gz` some servers say gzip."""
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
    """Whether what a line calls the body of a file of `size_bytes` must have headers in it: no body has more."""
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
        # Without Content-Range in the log nobody knows which bytes these were.
        # Nor how many, where the headers of each answer are counted: they add up.
        told = request.body_bytes is not None and not request.aborted
        return Span(0, min(sent, size_bytes), known=False) if sent and told else None
    first, after = request.span[0], min(request.span[1], size_bytes)
    if request.aborted and first + sent >= after:
        return None  # all was meant to be sent; how much was is not known
    after = min(after, first + sent)
    return Span(first, after) if first < after else None


def body_bytes(request: Request) -> int:
    """Bytes of the body that went out, at most: as the server counts them, and no more than all that was sent without
    the least that headers have."""
    if request.sent_bytes is None:
        return request.body_bytes or 0
    is_known = request.aborted is False and request.body_bytes is not None
    sent = max(0, request.sent_bytes - (0 if is_known else request.header_bytes))
    # What was meant to be sent, and what went out: a cut connection shows in the second only.
    return sent if request.body_bytes is None else min(request.body_bytes, sent)


def may_hold_some(request: Request) -> bool:
    """Whether some of the file may have gone out, for all that the log tells."""
    told = [count for count in (request.body_bytes, request.sent_bytes) if count is not None]
    return bool(told) and all(told)


def merged(spans: Sequence[Sequence[int]], span: Span) -> list[list[int]]:
    """Ranges with one more, sorted and apart."""
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
