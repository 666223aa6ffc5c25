"""What a request means for the delivery that it asked for: acknowledged, a part of it, an access, or nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from dropslot.acknowledgments.lines import Request
from dropslot.core.patterns import composed

ANYBODY = "*"
# A clock of another machine may be wrong by so much.
SKEW = timedelta(hours=1)
# Ranges that lie further apart belong to two fetches.
TOGETHER = timedelta(hours=1)
_BOTS = re.compile(
    r"bot\b|bot/|crawl|spider|slurp|archiver|facebookexternalhit|whatsapp|telegrambot|preview|monitoring|uptime"
    r"|pingdom|nagios|zabbix|censys|masscan|zgrab|nmap|nikto|scanner",
    re.IGNORECASE,
)


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
        given = [*(self.users.get(user, ()) if user else ()), *self.users.get(ANYBODY, ())]
        return ANYBODY in given or (folder is not None and composed(folder) in map(composed, given))


def may_count(request: Request) -> bool:
    """Whether a request can have brought bytes of a file to anybody: HEAD, 304 and errors cannot."""
    return request.method == "GET" and request.status in (200, 206)


def is_bot(agent: str) -> bool:
    """Programs that look at what they find, by the names that they give themselves."""
    return _BOTS.search(agent) is not None


def span_of(request: Request, size_bytes: int, among: int, together_bytes: int) -> Span | None:
    """The bytes of a file of `size_bytes` that the response held, None if it held none.

    `among`: how many files the response packed, of `together_bytes`: it has them all, or none that could be told.
    """
    if among > 1:
        return _packed(request, size_bytes, together_bytes)
    sent = body_bytes(request)
    if request.status == 206:
        return _of_range(request, size_bytes, sent)
    if sent < size_bytes:
        return (
            Span(0, sent) if sent else None
        )  # cut off: a download that goes on from there asks for the rest
    return None if request.aborted else Span(0, size_bytes)


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
        return Span(0, min(sent, size_bytes), known=False) if sent and not request.aborted else None
    first, after = request.span[0], min(request.span[1], size_bytes)
    if request.aborted and first + sent >= after:
        return None  # all was meant to be sent; how much was is not known
    after = min(after, first + sent)
    return Span(first, after) if first < after else None


def body_bytes(request: Request) -> int:
    """Bytes of the body: as the server counts them, else all that was sent, which the headers are part of."""
    if request.body_bytes is None:
        return request.sent_bytes or 0
    if request.sent_bytes is not None:
        # What was meant to be sent, and what went out: a cut connection shows in the second only.
        return min(request.body_bytes, request.sent_bytes)
    return request.body_bytes


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
