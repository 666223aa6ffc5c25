"""What is alike: told together, and counted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, tzinfo
from hashlib import sha256
from typing import Any

from dropslot.core.showing.quantities import counted
from dropslot.notify.channels.message import Fact, Level
from dropslot.notify.engine.happenings import Happening
from dropslot.notify.engine.whom import To, Told
from dropslot.notify.news import News

EXAMPLES = 10
SEVERAL = "for several reasons"
UNSURE = "unsure"  # in place of a kind of news: a message that may not have arrived
_NUMBERS = re.compile(r"\d+")
_VERBS = {
    News.FAILED: "failed",
    News.DONE: "delivered",
    News.INSTANCES_CHANGED: "with images that changed under the same UID",
}


@dataclass(slots=True)
class Alike:
    """What is the same of all of it, and the first few: `arrival`, `name`, `what` and `at`. It is kept as JSON."""

    route: str
    what: str
    remedy: str
    about: str = ""
    study: str = ""
    is_over: bool = False
    examples: list[dict[str, str]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Heap:
    """What one recipient is told that is alike. `digest` names it."""

    to: To
    digest: str
    news: str
    alike: Alike
    count: int
    first_seq: int
    last_seq: int

    def add(self, other: Heap) -> None:
        """Take in what is the same."""
        self.count += other.count
        self.first_seq = min(self.first_seq, other.first_seq)
        self.last_seq = max(self.last_seq, other.last_seq)
        room = EXAMPLES - len(self.alike.examples)
        self.alike.examples += other.alike.examples[:room]


def heaps(told: Iterable[Told]) -> list[Heap]:
    """Everything that is to be told, put together where it is alike."""
    found: dict[tuple[To, tuple[str, ...]], Heap] = {}
    for one in told:
        key = one.to, _same(one.happening)
        if (heap := found.get(key)) is None:
            found[key] = _heap(one, key[1])
        else:
            heap.count += 1
            heap.last_seq = one.happening.seq
            if len(heap.alike.examples) < EXAMPLES:
                heap.alike.examples.append(_example(one))
    return list(found.values())


def _heap(told: Told, same: tuple[str, ...]) -> Heap:
    one = told.happening
    alike = Alike(one.route, one.what, one.remedy, one.about, one.study, one.is_over, [_example(told)])
    digest = sha256("\0".join(same).encode("utf-8", "surrogatepass")).hexdigest()
    return Heap(told.to, digest, one.news.value, alike, 1, one.seq, one.seq)


def _example(told: Told) -> dict[str, str]:
    one = told.happening
    return {
        "arrival": one.arrival.id if one.arrival else "",
        "name": told.name,
        "what": one.what,
        "at": one.at,
    }


def _same(one: Happening) -> tuple[str, ...]:
    """What makes it alike. A reason is the same if it differs only in numbers, or in the arrival's name."""
    reason = one.what if one.news == News.FAILED else ""
    if reason and one.arrival and one.arrival.name:
        reason = _NUMBERS.sub("0", reason.replace(one.arrival.name, ""))
    return one.news.value, one.route, one.study, one.about, "over" if one.is_over else "", reason


def for_other_reasons(heap: Heap) -> Heap:
    """The same without its reason, so that what differs in each case makes no end of heaps."""
    name = "\0".join(("others", heap.news, heap.alike.route, "over" if heap.alike.is_over else ""))
    heap.digest = sha256(name.encode()).hexdigest()
    heap.alike.what, heap.alike.about, heap.alike.study = SEVERAL, "", ""
    return heap


def title(heap: Heap) -> str:
    """A sentence without the names of arrivals: they may be patients', and a mail's subject is read by many."""
    alike = heap.alike
    if heap.news in _VERBS and not alike.about:
        of = f" of route {alike.route}" if alike.route else ""
        return f"{counted(heap.count, 'arrival')}{of} {_VERBS[News(heap.news)]}{_why(heap)}"
    over = "No longer: " if alike.is_over else ""
    what = f"{alike.about}: {alike.what}" if alike.about else counted(heap.count, "other trouble")
    return f"{over}{what}" if over else f"{what[:1].upper()}{what[1:]}"


def _why(heap: Heap) -> str:
    if heap.news != News.FAILED or heap.count == 1:
        return ""
    return f" {SEVERAL}" if heap.alike.what == SEVERAL else " for the same reason"


def level(some: Sequence[Heap]) -> Level:
    """How bad it is."""
    if any(heap.news == News.FAILED and not heap.alike.is_over for heap in some):
        return "failure"
    if all(heap.alike.is_over or heap.news == News.DONE for heap in some):
        return "success"
    return "warning"


def facts_of_one(heap: Heap, base: str, zone: tzinfo) -> list[Fact]:
    """The first few of what is alike, each by itself."""
    alike = heap.alike
    return [
        Fact(
            about=one["name"] or alike.about,
            what=one["what"],
            remedy=alike.remedy,
            route=alike.route,
            study=alike.study,
            link=_link(base, heap, one["arrival"]),
            at=one["at"],
            when=_when(one["at"], zone),
        )
        for one in alike.examples
    ]


def fact_of_many(heap: Heap, base: str, zone: tzinfo) -> Fact:
    """One fact for all that is alike, with the first names."""
    first = (
        heap.alike.examples[0] if heap.alike.examples else {"name": "", "what": "", "at": "", "arrival": ""}
    )
    names = [one["name"] for one in heap.alike.examples if one["name"]][:3]
    more = heap.count - len(names)
    shown = ", ".join(names) + (f" and {more:,} more" if names and more else "")
    alike = heap.alike
    what = f"{shown}: {alike.what}" if names and (heap.count == 1 or heap.news == News.FAILED) else shown
    link = _link(base, heap, first["arrival"] if heap.count == 1 else "")
    when = f"{'from ' if heap.count > 1 else ''}{_when(first['at'], zone)}" if first["at"] else ""
    return Fact(title(heap), what, alike.remedy, alike.route, alike.study, link, first["at"], when)


def _when(at: str, zone: tzinfo) -> str:
    """The minute: a message may come hours later, as after quiet hours."""
    return f"{datetime.fromisoformat(at).astimezone(zone):%Y-%m-%d %H:%M %Z}" if at else ""


def _link(base: str, heap: Heap, arrival: str) -> str:
    """The page of an arrival, or of all that failed."""
    if base and arrival:
        return f"{base}/arrivals/{arrival}/"
    if not base or heap.news != News.FAILED or heap.alike.is_over:
        return ""
    route = f"&route={heap.alike.route}" if heap.alike.route else ""
    return f"{base}/arrivals/?state=failed{route}"
