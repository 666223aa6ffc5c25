"""What happened, from the events of the trail."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from dropslot.arrivals.models import Arrival
from dropslot.audit.kinds import Kind
from dropslot.audit.outbox import Seen
from dropslot.core.showing.quantities import chunks, counted
from dropslot.notify.news import News, news_of

_NEWS = {
    Kind.DELIVERED: News.DONE,
    Kind.REFUSED: News.FAILED,
    Kind.INSTANCES_CHANGED: News.INSTANCES_CHANGED,
}
_AT_ONCE = 500
_TROUBLES = (Kind.TROUBLE, Kind.TROUBLE_OVER)
_SEND_AGAIN = "Correct it and send it again. An operator may also retry or dismiss it."
_COMPARE = "Find out why the same image exists twice; both are kept, the later one as a version."


class Sent(NamedTuple):
    """What is told of an arrival. Its fields are looked up where somebody needs them: there may be many arrivals."""

    id: str
    route: str
    name: str
    sender: str


class Happening(NamedTuple):
    """One thing that happened. `arrival` is None for a trouble, which has `about`; `study` is a trouble's."""

    seq: int
    at: str
    news: News
    route: str
    what: str
    remedy: str
    arrival: Sent | None = None
    about: str = ""
    study: str = ""
    is_over: bool = False


def kinds(news: Collection[News]) -> list[Kind]:
    """The kinds of events that bring such news."""
    wanted = [kind for kind, one in _NEWS.items() if one in news]
    return [*wanted, *_TROUBLES] if set(news) - {News.DONE, News.INSTANCES_CHANGED} else wanted


def read(events: Sequence[Seen]) -> Iterator[Happening]:
    """What they tell, in their order. An arrival that is no longer known is left out."""
    ids = {event.arrival for event in events if event.arrival}
    rows = {row.id: row for some in chunks(ids, _AT_ONCE) for row in _sent(some)}
    for event in events:
        if event.kind in _TROUBLES:
            yield _trouble(event, json.loads(event.data))
        elif event.arrival in rows:
            yield _of_arrival(event, rows[event.arrival])


def _sent(ids: Sequence[str]) -> Iterator[Sent]:
    rows = Arrival.objects.filter(id__in=ids).order_by()
    return (Sent(*row) for row in rows.values_list("id", "route", "name", "sender").iterator(_AT_ONCE))


def _trouble(event: Seen, data: Mapping[str, Any]) -> Happening:
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


def _of_arrival(event: Seen, row: Sent) -> Happening:
    news = _NEWS[Kind(event.kind)]
    what, remedy = _words(news, event.data)
    return Happening(event.seq, event.at, news, row.route, what, remedy, arrival=row)


def _words(news: News, text: str) -> tuple[str, str]:
    if news == News.DONE:
        return "delivered", ""
    data = json.loads(text)
    if news == News.FAILED:
        reasons = data["reason"]
        more = f" (and {counted(len(reasons) - 1, 'more reason')})" if len(reasons) > 1 else ""
        return f"{reasons[0] if reasons else 'no reason was recorded'}{more}", _SEND_AGAIN
    return f"{counted(data['count'], 'image')} with other bytes than before under the same UID", _COMPARE
