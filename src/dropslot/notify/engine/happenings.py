"""What happened, from the events of the trail."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dropslot.arrivals.models import Arrival
from dropslot.audit.kinds import Kind
from dropslot.audit.models import Event
from dropslot.core.showing.counting import counted
from dropslot.notify.news import News, news_of

_NEWS = {
    Kind.DELIVERED: News.DONE,
    Kind.REFUSED: News.FAILED,
    Kind.INSTANCES_CHANGED: News.INSTANCES_CHANGED,
}
_TROUBLES = (Kind.TROUBLE, Kind.TROUBLE_OVER)
_SEND_AGAIN = "Correct it and send it again. An operator may also retry or dismiss it."
_COMPARE = "Find out why the same image exists twice; both are kept, the later one as a version."


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened. `arrival` is None for a trouble, which has `about`; `study` is a trouble's."""

    seq: int
    at: str
    news: News
    route: str
    what: str
    remedy: str
    arrival: Arrival | None = None
    about: str = ""
    study: str = ""
    is_over: bool = False


def kinds(news: Collection[News]) -> list[Kind]:
    """The kinds of events that bring such news."""
    wanted = [kind for kind, one in _NEWS.items() if one in news]
    return [*wanted, *_TROUBLES] if set(news) - {News.DONE, News.INSTANCES_CHANGED} else wanted


def read(events: Sequence[Event]) -> Iterator[Happening]:
    """What they tell, in their order. An arrival that is no longer known is left out."""
    ids = {event.arrival for event in events if event.arrival}
    rows = Arrival.objects.only("id", "route", "name", "sender", "fields").in_bulk(ids) if ids else {}
    for event in events:
        data = json.loads(event.data)
        if event.kind in _TROUBLES:
            yield _trouble(event, data)
        elif event.arrival in rows:
            yield _of_arrival(event, data, rows[event.arrival])


def _trouble(event: Event, data: Mapping[str, Any]) -> Happening:
    is_over = event.kind == Kind.TROUBLE_OVER
    return Happening(
        event.seq,
        event.at,
        news_of(data["trouble"]),
        data["route"],
        what=data["what"],
        remedy="" if is_over else data["remedy"],
        about=data["about"],
        study=data.get("study", ""),
        is_over=is_over,
    )


def _of_arrival(event: Event, data: Mapping[str, Any], row: Arrival) -> Happening:
    kind = Kind(event.kind)
    what, remedy = _words(kind, data)
    return Happening(event.seq, event.at, _NEWS[kind], row.route, what, remedy, arrival=row)


def _words(kind: Kind, data: Mapping[str, Any]) -> tuple[str, str]:
    if kind == Kind.DELIVERED:
        counts = [
            f"{counted(count, 'item')} {outcome}" for outcome, count in sorted(data["outcomes"].items())
        ]
        return ", ".join(counts), ""
    if kind == Kind.REFUSED:
        reasons = data["reason"]
        more = f" (and {counted(len(reasons) - 1, 'more reason')})" if len(reasons) > 1 else ""
        return f"{reasons[0] if reasons else 'no reason was recorded'}{more}", _SEND_AGAIN
    return f"{counted(data['count'], 'image')} with other bytes than before under the same UID", _COMPARE
