"""Arrivals that failed or wait, grouped by their reason. Reasons name files and numbers, so they are compared without
these."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from django.db.models import QuerySet

from dropslot.arrivals.delivery.refusal_reason import ENDED
from dropslot.arrivals.models import Arrival
from dropslot.core.states import State

AT_MOST = 2000  # arrivals that are looked at, the newest
_COMPARED = 50
_ITEM = re.compile(r"^[^\s:]+(?=: )|^(?:(?! it | the ).){1,200}?\.[A-Za-z0-9]{1,8}(?=: )")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_PATH = re.compile(r"(?:[a-z][a-z0-9+.-]*:/)?/[^\s,;:'\"]+")
_FILE = re.compile(r"[^\s,;:'\"(]+\.[A-Za-z][A-Za-z0-9]{0,7}(?![\w.])")
_DIGEST = re.compile(r"\b(?:[0-9a-fA-F]{32,128}|[0-9A-HJKMNP-TV-Z]{26})\b")
_NUMBER = re.compile(r"\d[\d.,]*")


def common(texts: Sequence[str]) -> str:
    """What texts have in common: the first one, with `…` for each word that differs in another one. Texts with another
    number of words are compared from both ends."""
    first = texts[0].split(" ")
    same = [True] * len(first)
    for text in texts[1:]:
        words = text.split(" ")
        head = _alike(first, words)
        tail = min(_alike(first[::-1], words[::-1]), len(first) - head)
        for place, word in enumerate(first):
            if len(words) == len(first):
                same[place] = same[place] and words[place] == word
            else:
                same[place] = same[place] and (place < head or place >= len(first) - tail)
    shown = " ".join(word if is_same else "…" for word, is_same in zip(first, same, strict=True))
    return re.sub(r"…(?: …)+", "…", shown)


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """How many words at the beginning are the same."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


class Failed(NamedTuple):
    """What is known of one arrival."""

    id: str
    route: str
    name: str
    reason: Sequence[str]


@dataclass(slots=True)
class Group:
    """Arrivals with the same kind of reason, the newest first. `example` is the whole reason of the newest one."""

    key: str
    words: str
    example: str
    arrivals: list[Failed] = field(default_factory=list)

    @property
    def shown(self) -> str:
        """The reason with `…` for each word that is not the same in all of them."""
        return common([row.reason[0] if row.reason else self.words for row in self.arrivals[:_COMPARED]])

    @property
    def routes(self) -> list[str]:
        """Their routes, sorted."""
        return sorted({arrival.route for arrival in self.arrivals})


def normal(reason: str, name: str = "") -> str:
    """A reason without the names, paths and numbers in it: `…` stands for each."""
    text = reason.replace(name, "…") if name else reason
    for pattern in (_QUOTED, _PATH, _ITEM, _DIGEST, _FILE, _NUMBER):
        text = pattern.sub("…", text)
    return re.sub(r"…(?:[\s/]*…)+", "…", text)


def failed(seen: QuerySet[Arrival]) -> Iterator[Failed]:
    """The newest failed arrivals of `seen` that can be retried: those that were dismissed or purged are left out."""
    rows = seen.filter(state=State.FAILED).order_by("-dropped_at")[:AT_MOST]
    for pk, route, name, reason, evidence in rows.values_list("id", "route", "name", "reason", "evidence"):
        if not evidence.keys() & ENDED:
            yield Failed(pk, route, name, reason)


def held_up(seen: QuerySet[Arrival]) -> Iterator[Failed]:
    """The newest arrivals of `seen` that wait for something, with a reason."""
    rows = seen.filter(state__in=(State.WAITING, State.RETRYING)).order_by("-dropped_at")[:AT_MOST]
    for row in rows.values_list("id", "route", "name", "reason"):
        if row[3]:
            yield Failed(*row)


def groups(rows: Iterable[Failed]) -> list[Group]:
    """By the first reason, the largest group first."""
    found: dict[str, Group] = {}
    for row in rows:
        reason = row.reason[0] if row.reason else "No reason was recorded"
        words = normal(reason, row.name)
        key = hashlib.sha256(words.encode("utf-8", "replace")).hexdigest()[:16]
        found.setdefault(key, Group(key, words, reason)).arrivals.append(row)
    return sorted(found.values(), key=lambda group: -len(group.arrivals))
